package io.virtnvme.ipc.relay;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/** Which build this is; read once from the resource that the build writes. Any thread. */
public final class Build {
  private static final String RESOURCE = "build.properties";
  private static final String VERSION = load();

  private Build() {}

  /** {@code major.minor.patch[-suffix]}. */
  public static String version() {
    return VERSION;
  }

  private static String load() {
    try (InputStream in = Build.class.getResourceAsStream(RESOURCE)) {
      final Properties properties = new Properties();
      properties.load(in);
      return properties.getProperty("version");
    } catch (final IOException e) {
      throw new UncheckedIOException("no " + RESOURCE + " on the class path", e);
    }
  }
}

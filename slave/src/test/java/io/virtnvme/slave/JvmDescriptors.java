package io.virtnvme.slave;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;

/** For tests that count the descriptors of their own process. */
public final class JvmDescriptors {
  private JvmDescriptors() {}

  /**
   * Has the JVM open what it opens once and keeps: its first file channel makes a socket that file
   * channels are closed with. Without this, it would count against the first test that reads a
   * file.
   */
  public static void settle() {
    try {
      FileChannel.open(Path.of("/dev/null")).close();
    } catch (final IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}

package io.virtnvme.tools;

import picocli.CommandLine.IVersionProvider;

/** The version of this build. */
public final class Version implements IVersionProvider {
  /** As the jar says; {@code development} when classes run without one. */
  public static String current() {
    final String version = Version.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }

  @Override
  public String[] getVersion() {
    return new String[] {"virtnvme " + current()};
  }
}

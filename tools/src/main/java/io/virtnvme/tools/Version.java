package io.virtnvme.tools;

import io.virtnvme.ipc.relay.Build;
import picocli.CommandLine.IVersionProvider;

/** The version of this build. */
public final class Version implements IVersionProvider {
  /** {@code major.minor.patch[-suffix]}. */
  public static String current() {
    return Build.version();
  }

  @Override
  public String[] getVersion() {
    return new String[] {"virtnvme " + current()};
  }
}

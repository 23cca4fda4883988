package io.virtnvme.master.rpc;

import java.util.List;

/**
 * A move of everything that runs to slaves of another build.
 *
 * @param command starts a slave of it; {@code --slave-of DIR} is appended; empty = as the master
 *     itself starts them
 * @param warmNs its standbys must be warm by then
 * @param drainNs an owner that has not let go of its seat by then is killed
 * @param moveNs a seat must have a new owner so long after that
 */
public record UpgradeSpec(List<String> command, long warmNs, long drainNs, long moveNs) {
  public UpgradeSpec {
    command = List.copyOf(command);
  }
}

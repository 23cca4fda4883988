package io.virtnvme.master;

import java.util.List;

/**
 * The master that is to come after this one, in the same process.
 *
 * @param command starts any command of the other build; the arguments of this process are appended
 * @param limitNs it must answer by then
 */
record Replacement(List<String> command, long limitNs) {
  Replacement {
    command = List.copyOf(command);
  }
}

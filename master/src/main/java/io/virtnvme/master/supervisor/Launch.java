package io.virtnvme.master.supervisor;

import java.util.List;

/**
 * How slaves are started. Immutable.
 *
 * @param generation tells the slaves of this command line from others; 0 = started by a master
 *     before this one
 * @param command starts a slave; {@code --slave-of DIR} is appended
 */
record Launch(int generation, List<String> command) {
  Launch {
    command = List.copyOf(command);
  }
}

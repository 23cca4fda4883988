package io.virtnvme.master.supervisor;

import java.util.ArrayList;
import java.util.List;

/**
 * How slaves are started. Immutable.
 *
 * @param generation tells the slaves of this command line from others; 0 = started by a master
 *     before this one
 * @param command starts a slave; {@code --slave-of DIR} is appended
 */
record Launch(int generation, List<String> command) {
  /**
   * The JIT compiler's first level waits for five times as many calls as usual. While a process
   * starts, it shares one core with its compilers, and what they make of code that runs a few
   * hundred times costs more than it saves. Requests come in so fast that five times as many of
   * them are no delay.
   */
  private static final List<String> COMPILE_LATER =
      List.of(
          "-XX:Tier3InvocationThreshold=1000",
          "-XX:Tier3MinInvocationThreshold=500",
          "-XX:Tier3CompileThreshold=10000");

  private static final String JAVA = "/java";

  Launch {
    command = List.copyOf(command);
  }

  /**
   * The command for a slave that takes its seat as soon as it runs, because a guest may wait for
   * it. A standby has the time to be compiled before it is needed.
   */
  List<String> commandForSeat() {
    final List<String> options = new ArrayList<>(command);
    if (command.get(0).endsWith(JAVA)) {
      options.addAll(1, COMPILE_LATER);
    }
    return options;
  }
}

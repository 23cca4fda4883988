package io.virtnvme.master.supervisor;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Test;

class LaunchTest {
  @Test
  void shouldLetCompilersOfASlaveThatGuestsWaitForComeLater() {
    final List<String> command =
        new Launch(1, List.of("/usr/bin/java", "-Xmx64m", "-jar", "slave.jar")).commandForSeat();

    assertEquals("/usr/bin/java", command.get(0));
    assertTrue(command.get(1).startsWith("-XX:Tier3"), command::toString);
    assertEquals(
        List.of("-Xmx64m", "-jar", "slave.jar"),
        command.subList(command.size() - 3, command.size()));
  }

  @Test
  void shouldLeaveAStandbyAndAnotherProgramAlone() {
    final List<String> java = List.of("/usr/bin/java", "-jar", "slave.jar");
    final List<String> script = List.of("/usr/local/bin/start-slave", "-x");

    assertEquals(java, new Launch(1, java).command());
    assertEquals(script, new Launch(1, script).commandForSeat());
  }
}

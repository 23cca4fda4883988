package io.virtnvme.tools.load;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class TriggerTest {
  private static final int KILLED = 128 + 9;

  @Test
  void shouldKillOnceWorkWasGivenAndItsTimeHasCome() throws IOException, InterruptedException {
    final Process victim = new ProcessBuilder("sleep", "60").start();
    try (Trigger trigger = new Trigger()) {
      assertFalse(trigger.isArmed());
      trigger.arm(Math.toIntExact(victim.pid()));
      assertFalse(trigger.isDue(Long.MAX_VALUE), "no work was given");
      trigger.onWork(1000, 77);
      trigger.onWork(5000, 0);
      assertFalse(trigger.isDue(1076));
      assertTrue(trigger.isDue(1077));
      assertTrue(victim.isAlive());
      trigger.fire();
      assertFalse(trigger.isArmed());
      assertTrue(victim.waitFor(30, TimeUnit.SECONDS));
      assertEquals(KILLED, victim.exitValue());
    } finally {
      victim.destroyForcibly();
    }
  }

  @Test
  void shouldSayWhatItCannotKill() throws IOException, InterruptedException {
    final Process gone = new ProcessBuilder("true").start();
    gone.waitFor();
    try (Trigger trigger = new Trigger()) {
      final LoadException e =
          assertThrows(LoadException.class, () -> trigger.arm(Math.toIntExact(gone.pid())));
      assertTrue(e.getMessage().contains(Long.toString(gone.pid())), e.getMessage());
    }
  }
}

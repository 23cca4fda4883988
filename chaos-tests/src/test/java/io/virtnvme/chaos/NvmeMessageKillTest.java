package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/** Every vfio-user message is answered exactly once, whoever is killed while it is under way. */
@Tag("once")
class NvmeMessageKillTest {
  @RegisterExtension private final Pairs pairs = new Pairs();

  private Pair start() {
    final Pair pair = pairs.start(PairOptions.ofFirstCompiler());
    pair.createMemDisk("disk", 256);
    pair.createNvmeController("vm", true, "disk");
    return pair;
  }

  @Test
  void shouldAnswerEveryMessageOnceWhenMastersAreKilled() {
    final Pair pair = start();
    pair.activePidWithStandbys(1, 0);
    try (NvmeTalker talker = NvmeTalker.start(pair.nvmeSocket("vm"), pairs.seed())) {
      for (int i = 0; i < 4; i++) {
        talker.awaitAnswers(200 + pairs.random().nextInt(800));
        pair.killMaster();
        pair.startMaster();
      }
      talker.awaitAnswers(1000);
      talker.finish();
    }
    assertTrue(pair.isMasterAlive());
  }

  @Test
  void shouldAnswerEveryMessageOnceWhenSlavesAreKilled() {
    final Pair pair = start();
    int slave = pair.activePidWithStandbys(1, 0);
    try (NvmeTalker talker = NvmeTalker.start(pair.nvmeSocket("vm"), pairs.seed())) {
      for (int i = 0; i < 4; i++) {
        talker.awaitAnswers(200 + pairs.random().nextInt(800));
        Victim.kill(slave);
        talker.awaitAnswers(200);
        slave = pair.activePidWithStandbys(1, slave);
      }
      pair.killTogether(List.of(pair.masterPid(), slave));
      pair.startMaster();
      talker.awaitAnswers(1000);
      talker.finish();
    }
    assertTrue(pair.isMasterAlive());
  }
}

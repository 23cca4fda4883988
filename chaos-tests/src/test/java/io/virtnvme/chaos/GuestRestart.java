package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.virtnvme.chaos.guest.FioJob;
import io.virtnvme.chaos.guest.FioResult;
import io.virtnvme.chaos.guest.Guest;
import io.virtnvme.chaos.guest.GuestDiedException;
import io.virtnvme.chaos.guest.Running;
import java.util.List;

/**
 * A guest that starts anew with requests in flight while slaves die: the firmware sets up some
 * queues, then the kernel all of them. What was written before must be there afterwards.
 *
 * @param rig with the guest
 * @param cutBdev the disk that has requests in flight
 * @param cutDevice the same in the guest
 * @param keptDevice another, of 80 MiB or more, that keeps what was written before
 */
record GuestRestart(GuestRig rig, String cutBdev, String cutDevice, String keptDevice) {
  private static final int KILLS = 3;
  private static final int START_MS = 2500;

  /** How a guest starts anew; the argument is what happens meanwhile. */
  interface Start {
    void run(Runnable meanwhile);
  }

  void during(final Start start) {
    final FioJob.Builder kept = writeWhatIsKept();
    final Running<FioResult> cut = beginWhatIsCut();
    start.run(
        () -> {
          for (int i = 0; i < KILLS; i++) {
            rig.killSlave(i == 0 ? 1 : 0, START_MS / KILLS);
          }
        });
    assertThrows(GuestDiedException.class, () -> cut.await(GuestRig.SHORT));
    assertKeptAndUsable(kept);
  }

  FioJob.Builder writeWhatIsKept() {
    final FioJob.Builder kept = FioJob.mixedVerify(keptDevice).region("64m", "16m");
    final FioJob write = kept.option("do_verify", "0").build();
    final FioResult written = rig.guest().start(write).await(GuestRig.LONG);
    assertEquals(0, written.errors(), written::toString);
    return kept;
  }

  Running<FioResult> beginWhatIsCut() {
    final Running<FioResult> cut =
        rig.guest().start(FioJob.mixedVerify(cutDevice).region("0", "32m").loops(50).build());
    rig.awaitProgress(List.of(cutBdev));
    return cut;
  }

  void assertKeptAndUsable(final FioJob.Builder kept) {
    final Guest guest = rig.guest();
    final FioJob verify = kept.option("do_verify", "1").option("verify_only", "1").build();
    final FioResult verified = guest.start(verify).await(GuestRig.LONG);
    assertEquals(0, verified.errors(), verified::toString);
    assertEquals(16L << 20, verified.readBytes());
    final FioJob job = FioJob.mixedVerify(cutDevice).region("0", "16m").build();
    final FioRounds.Total after = new FioRounds(guest, job).finish();
    assertEquals(0, after.errors(), after::toString);
    assertEquals(List.of(), guest.complaints());
  }
}

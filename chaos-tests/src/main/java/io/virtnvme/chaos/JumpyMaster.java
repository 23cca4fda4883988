package io.virtnvme.chaos;

import io.virtnvme.master.MasterContext;
import io.virtnvme.master.MasterMain;
import io.virtnvme.slave.SlaveMain;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A master whose time of day jumps each time it is asked for: by years, days and minutes, back and
 * forth. Takes {@code up --run-dir DIR ...}.
 */
final class JumpyMaster {
  private static final int RUN_DIRECTORY_INDEX = 2;
  private static final long[] JUMPS_MS = {
    0,
    TimeUnit.DAYS.toMillis(400),
    -TimeUnit.DAYS.toMillis(400),
    TimeUnit.MINUTES.toMillis(5),
    -TimeUnit.DAYS.toMillis(1),
    TimeUnit.DAYS.toMillis(2),
    -TimeUnit.MINUTES.toMillis(5)
  };

  private static final AtomicInteger ASKED = new AtomicInteger();

  private JumpyMaster() {}

  public static void main(final String[] arguments) throws InterruptedException {
    final MasterContext context =
        new MasterContext()
            .runDirectory(Path.of(arguments[RUN_DIRECTORY_INDEX]))
            .wallClockMs(JumpyMaster::timeOfDayMs)
            .slaveCommand(ChildJvm.command(SlaveMain.class, List.of()));
    System.exit(MasterMain.run(context));
  }

  private static long timeOfDayMs() {
    final int jump = Math.floorMod(ASKED.getAndIncrement(), JUMPS_MS.length);
    return System.currentTimeMillis() + JUMPS_MS[jump];
  }
}

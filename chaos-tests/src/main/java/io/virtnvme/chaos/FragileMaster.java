package io.virtnvme.chaos;

import io.virtnvme.master.MasterContext;
import io.virtnvme.master.MasterMain;
import java.nio.file.Path;
import java.util.List;

/** A master whose slaves are {@link FragileSlave}s. Takes {@code up --run-dir DIR ...}. */
final class FragileMaster {
  private static final int RUN_DIRECTORY_INDEX = 2;

  private FragileMaster() {}

  public static void main(final String[] arguments) throws InterruptedException {
    final MasterContext context =
        new MasterContext()
            .runDirectory(Path.of(arguments[RUN_DIRECTORY_INDEX]))
            .slaveCommand(ChildJvm.command(FragileSlave.class, List.of()));
    System.exit(MasterMain.run(context));
  }
}

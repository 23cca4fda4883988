package io.virtnvme.slave;

import io.virtnvme.ipc.log.LineLog;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.ipc.sys.AddressSpaceKeeper;
import io.virtnvme.ipc.sys.SmallFile;
import io.virtnvme.slave.bdev.UringReactorIo;
import io.virtnvme.slave.control.SlaveControl;
import java.io.IOException;
import java.nio.file.Path;

/**
 * A slave process: started by the master with {@code --slave-of DIR}, told everything else over
 * {@code DIR/slaves.sock}.
 */
public final class SlaveMain {
  private static final int EXIT_USAGE = 2;

  private SlaveMain() {}

  public static void main(final String[] arguments) throws IOException {
    if (arguments.length != 2 || !arguments[0].equals("--slave-of")) {
      System.err.println("usage: SlaveMain --slave-of DIR (slaves are started by the master)");
      System.exit(EXIT_USAGE);
    }
    LineLog.use();
    System.setProperty(NoJavaLogging.MANAGER_PROPERTY, NoJavaLogging.class.getName());
    AddressSpaceKeeper.start();
    final Path runDirectory = Path.of(arguments[1]);
    final String instance = SmallFile.read(runDirectory.resolve("instance"));
    final SegmentDirectory segments = SegmentDirectory.of(Long.parseUnsignedLong(instance, 16));
    new SlaveControl(runDirectory, segments, UringReactorIo::new).run();
    System.exit(0);
  }
}

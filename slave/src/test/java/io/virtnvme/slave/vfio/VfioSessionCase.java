package io.virtnvme.slave.vfio;

import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Memfd;
import io.virtnvme.ipc.vfiouser.DmaMap;
import io.virtnvme.ipc.vfiouser.IrqSet;
import java.nio.file.Path;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A session, and a guest's memory for it. */
abstract class VfioSessionCase {
  static final int READ_WRITE = DmaMap.READ_FLAG | DmaMap.WRITE_FLAG;
  static final int TRIGGER_EVENTS = IrqSet.DATA_EVENTFD_FLAG | IrqSet.ACTION_TRIGGER_FLAG;
  static final long MIB = 1 << 20;

  @TempDir Path folder;
  VfioFixture fixture;
  int memory;

  @BeforeEach
  void open() {
    fixture = new VfioFixture(folder);
    memory = Memfd.create("guest", 4 * MIB);
  }

  @AfterEach
  void close() {
    fixture.close();
    Fds.close(memory);
  }
}

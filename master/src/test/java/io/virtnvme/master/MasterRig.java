package io.virtnvme.master;

import static io.virtnvme.master.MasterFixture.states;
import static org.awaitility.Awaitility.await;

import io.virtnvme.master.rpc.SlaveInfo;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A test with one master at a time and processes that only seem to be, ended after each test. */
@Timeout(value = 60, unit = TimeUnit.SECONDS)
abstract class MasterRig {
  @TempDir Path directory;
  final FakeProcesses processes = new FakeProcesses();

  /** The master makes it. */
  Path runDirectory;

  /** The one that runs, or ran last; null before the first one. */
  Master master;

  @BeforeEach
  final void chooseRunDirectory() {
    runDirectory = directory.resolve("run");
  }

  @AfterEach
  final void endMasterAndProcesses() {
    if (master != null) {
      master.close();
    }
    processes.close();
  }

  FakeSlave slave(final int pid) {
    return new FakeSlave(processes, runDirectory, pid);
  }

  void awaitState(final SlaveInfo.State state) {
    await().until(() -> states(master.controlPlane()).contains(state));
  }
}

package io.virtnvme.slave.virtqueue;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.virtio.BlkRequest;
import io.virtnvme.ipc.virtio.VirtioFeature;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The data path of a ring allocates nothing, with every JIT and with none. */
class AllocationTest {
  private static final int QUEUE_SIZE = 64;
  private static final int DEPTH = 24;
  private static final int WARM_UP_CYCLES = 100;
  private static final int CYCLES = 300;
  private static final int WINDOWS = 3;

  /** Two or three requests a poll at this limit: some are held back in most of them. */
  private static final BdevLimits LIMITS = new BdevLimits(100, 100, 100, 100);

  private static final int POLLS = 24;
  private static final long POLL_NS = 20_000_000;
  private static final long FORK_TIMEOUT_S = 120;

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldAllocateNothingPerRequest(final Layout layout) {
    assertEquals(0, allocatedBytes(layout, BdevLimits.NONE));
  }

  @ParameterizedTest
  @EnumSource(Layout.class)
  void shouldAllocateNothingPerRequestOfALimitedDisk(final Layout layout) {
    assertEquals(0, allocatedBytes(layout, LIMITS));
  }

  @Test
  void shouldAllocateNothingPerRequestWhenInterpreted(@TempDir final Path folder)
      throws IOException, InterruptedException {
    final List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    for (final String argument : ManagementFactory.getRuntimeMXBean().getInputArguments()) {
      if (argument.startsWith("--add-") || argument.startsWith("-XX:+Ignore")) {
        command.add(argument);
      }
    }
    command.add("-Xint");
    command.add("-cp");
    command.add(
        System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")));
    command.add(AllocationTest.class.getName());
    final Path output = folder.resolve("output");
    final Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    try {
      final boolean ended = process.waitFor(FORK_TIMEOUT_S, TimeUnit.SECONDS);
      final String text = java.nio.file.Files.readString(output);
      assertEquals(true, ended, text);
      assertEquals(0, process.exitValue(), text);
    } finally {
      process.destroyForcibly();
    }
  }

  /** Ends with 1 if a layout allocates; run by the test above under -Xint. */
  public static void main(final String[] arguments) {
    for (final Layout layout : Layout.values()) {
      final long bytes = allocatedBytes(layout, BdevLimits.NONE) + allocatedBytes(layout, LIMITS);
      if (bytes != 0) {
        System.err.println(layout + " allocates bytes=" + bytes);
        System.exit(1);
      }
    }
  }

  private static long allocatedBytes(final Layout layout, final BdevLimits limits) {
    final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    final int callFd = EventFd.create();
    final long indirect =
        layout.hasEventIndex() ? VirtioFeature.of(VirtioFeature.RING_INDIRECT_DESC) : 0;
    try (Rig rig =
        new Rig(
            layout.packed, QUEUE_SIZE, layout.features | indirect, new TestDisk(1 << 20, 512))) {
      rig.setup = rig.newSetup(-1, null, callFd, rig.driver.initialBase(), false);
      rig.disk.limits().set(limits);
      rig.startAgent();
      final Cycle cycle = new Cycle(rig);
      for (int i = 0; i < WARM_UP_CYCLES; i++) {
        cycle.run();
      }
      // The JVM allocates once here and there; what a request allocates shows in every window.
      long least = Long.MAX_VALUE;
      for (int window = 0; window < WINDOWS; window++) {
        final long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < CYCLES; i++) {
          cycle.run();
        }
        least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
      }
      return least;
    } finally {
      Fds.close(callFd);
    }
  }

  /**
   * One duty cycle with requests of every kind; the disk has little room, so that some must wait.
   */
  private static final class Cycle {
    private final Rig rig;
    private int count;
    private long nowNs;

    Cycle(final Rig rig) {
      this.rig = rig;
    }

    void run() {
      rig.driver.enableCalls();
      rig.agent.armKicks();
      rig.agent.disarmKicks();
      for (int i = 0; i < DEPTH; i++) {
        submit(count++);
      }
      rig.driver.publish();
      rig.disk.refuseNext(count % 3);
      for (int i = 0; i < POLLS; i++) {
        nowNs += POLL_NS;
        rig.agent.nowNs(nowNs);
        rig.agent.poll(DEPTH);
      }
      rig.agent.flush();
      rig.reapAll();
    }

    private void submit(final int number) {
      switch (number % 5) {
        case 0 -> add(BlkRequest.TYPE_IN, true);
        case 1 -> add(BlkRequest.TYPE_OUT, false);
        case 2 -> add(BlkRequest.TYPE_GET_ID, true);
        case 3 -> add(77, false);
        default -> {
          rig.driver.begin(BlkRequest.TYPE_FLUSH, 0);
          rig.driver.add();
        }
      }
    }

    private void add(final int type, final boolean in) {
      rig.driver.begin(type, 8);
      rig.driver.data(rig.guestData + Rig.DATA_BYTES - 100, 512, in);
      rig.driver.add();
    }
  }
}

package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.sun.management.ThreadMXBean;
import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.relay.BdevLimits;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The data path of NVMe queues allocates nothing, with every JIT and with none. */
class NvmeAllocationTest {
  private static final int WARM_UP_CYCLES = 100;
  private static final int CYCLES = 300;
  private static final int WINDOWS = 3;
  private static final int SIZE = 64;
  private static final int DEPTH = 24;
  private static final long FORK_TIMEOUT_S = 120;

  /** Five commands a poll: the others are held back until the next. */
  private static final BdevLimits LIMITS = new BdevLimits(400, 0, 0, 0);

  private static final long POLL_NS = 20_000_000;

  private final TestCommand[] commands = new TestCommand[DEPTH];
  private int head;
  private long nowNs;

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void shouldAllocateNothingPerCommand(final boolean refused) {
    assertEquals(0, allocatedBytes(refused, BdevLimits.NONE));
    assertEquals(0, allocatedBytes(refused, LIMITS));
  }

  @Test
  void shouldAllocateNothingPerCommandWhenInterpreted(@TempDir final Path folder)
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
    command.add(NvmeAllocationTest.class.getName());
    final Path output = folder.resolve("output");
    final Process process =
        new ProcessBuilder(command)
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    try {
      final boolean ended = process.waitFor(FORK_TIMEOUT_S, TimeUnit.SECONDS);
      final String text = Files.readString(output);
      assertEquals(true, ended, text);
      assertEquals(0, process.exitValue(), text);
    } finally {
      process.destroyForcibly();
    }
  }

  /** Ends with 1 if commands allocate; run by the test above under -Xint. */
  public static void main(final String[] arguments) {
    final long bytes =
        new NvmeAllocationTest().allocatedBytes(true, BdevLimits.NONE)
            + new NvmeAllocationTest().allocatedBytes(false, BdevLimits.NONE)
            + new NvmeAllocationTest().allocatedBytes(true, LIMITS);
    if (bytes != 0) {
      System.err.println("NVMe commands allocate: bytes=" + bytes);
      System.exit(1);
    }
  }

  private long allocatedBytes(final boolean refused, final BdevLimits limits) {
    final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    final int callFd = EventFd.create();
    head = 0;
    try (NvmeRig rig = NvmeRig.started(SIZE)) {
      rig.agent.vectors(new int[] {-1, callFd});
      prepare(rig);
      rig.disk.limits().set(limits);
      for (int i = 0; i < WARM_UP_CYCLES; i++) {
        cycle(rig, i);
      }
      // The JVM allocates once here and there; what a command allocates shows in every window.
      long least = Long.MAX_VALUE;
      for (int window = 0; window < WINDOWS; window++) {
        final long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < CYCLES; i++) {
          cycle(rig, refused ? i : 0);
        }
        least = Math.min(least, threads.getCurrentThreadAllocatedBytes() - before);
      }
      return least;
    } finally {
      Fds.close(callFd);
    }
  }

  private void prepare(final NvmeRig rig) {
    Mem.fill(rig.disk.data, 1 << 20, (byte) 0);
    final int[] opcodes = {1, 2, 0, 5, 8, 12, 9, 2};
    final Random random = new Random(1);
    for (int i = 0; i < 64; i++) {
      rig.putLong(rig.guestLists + i * 8L, rig.guestData + (32L + i) * 4096);
    }
    for (int i = 0; i < DEPTH; i++) {
      final int opcode = opcodes[i % opcodes.length];
      commands[i] = new TestCommand(opcode, i, 1);
      switch (i % 3) {
        case 0 -> commands[i].prps(rig.guestData, rig.guestLists).blocks(i * 8L, 80);
        case 1 -> commands[i].sgl(rig.guestData + random.nextInt(4096), 512, 0).blocks(i * 8L, 1);
        default -> commands[i].prps(rig.guestData + NvmeRig.DATA_BYTES - 256, 0).blocks(i * 8L, 1);
      }
      if (opcode == 9) {
        commands[i].dword(10, 3).dword(11, 4).dword(12, 0).prps(rig.guestLists + 4096, 0);
      }
    }
  }

  private void cycle(final NvmeRig rig, final int number) {
    for (int i = 0; i < DEPTH; i++) {
      rig.queues[0].add(commands[i]);
    }
    rig.queues[0].ring();
    rig.disk.refuseNext(number % 3);
    for (int i = 0; i < 8; i++) {
      nowNs += POLL_NS;
      rig.agent.poll(nowNs, 32);
      rig.agent.flush();
    }
    rig.agent.armKicks();
    rig.agent.disarmKicks();
    head = (head + DEPTH) % SIZE;
    rig.ringHead(head);
  }
}

package io.virtnvme.chaos;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.qpair.QpairException;
import io.virtnvme.ipc.qpair.QpairRequest;
import io.virtnvme.ipc.qpair.QpairSegment;
import io.virtnvme.ipc.sys.Processes;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Secondary processes at a volume of a real pair. */
@Tag("once")
class QpairTest {
  private static final int BLOCK_COUNT = 4096;
  private static final int BLOCK_BYTES = QpairLoad.BLOCK_BYTES;
  private static final int DEPTH = QpairLoad.DEPTH;
  private static final long LIMIT_NS = QpairLoad.LIMIT_NS;

  /** Clients that an endpoint takes at a time. */
  private static final int CLIENTS_MAX = 4;

  /** More than that, so a place that is not given back is missed. */
  private static final int CLIENT_KILLS = CLIENTS_MAX + 1;

  @RegisterExtension private final Pairs pairs = new Pairs();

  private Pair pair;

  private void startPair(final int standbyCount, final String bdev) {
    pair = pairs.start(PairOptions.usual().withStandbys(standbyCount));
    if (bdev.equals("mem")) {
      pair.createMemDisk("disk", BLOCK_COUNT);
    } else {
      pair.createFileDisk("disk", BLOCK_COUNT);
    }
    createEndpoint("rw", false);
  }

  private void createEndpoint(final String name, final boolean readOnly) {
    pair.createSecondaryEndpoint(name, "disk", readOnly);
  }

  private Path socket(final String name) {
    return pair.path().resolve("virtnvme").resolve(name);
  }

  private QpairClient attach(final String name, final boolean writeAccess) {
    return pairs.add(QpairLoad.attach(socket(name), writeAccess));
  }

  private static void run(final QpairClient client, final int opcode, final long block) {
    client.run(opcode, 0, block, 1, 0, LIMIT_NS);
  }

  private static void assertSound(final QpairLoad load) {
    load.finish();
    assertEquals(0, load.faultCount());
  }

  @Test
  void shouldRefuseWritesToWhoMayOnlyRead() {
    startPair(0, "mem");
    createEndpoint("ro", true);
    assertRefused("offered for reading only", () -> attach("ro", true));
    final QpairClient client = attach("rw", false);
    run(client, QpairRequest.READ, 0);
    for (final int opcode :
        List.of(QpairRequest.WRITE, QpairRequest.WRITE_ZEROES, QpairRequest.UNMAP)) {
      assertThrows(QpairException.class, () -> run(client, opcode, 0));
    }
    assertThrows(QpairException.class, () -> run(client, QpairRequest.READ, BLOCK_COUNT));
  }

  @Test
  void shouldTakeAsManyClientsAsAnEndpointMayHave() {
    startPair(0, "mem");
    for (int client = 0; client < CLIENTS_MAX; client++) {
      run(attach("rw", false), QpairRequest.READ, 0);
    }
    assertRefused("connections; close one first", () -> attach("rw", false));
  }

  private static void assertRefused(final String reason, final Executable attachment) {
    final QpairException refusal = assertThrows(QpairException.class, attachment);
    assertTrue(refusal.getMessage().contains(reason), refusal.getMessage());
  }

  @Test
  void shouldSayHowMuchAClientMayHave() {
    startPair(0, "mem");
    final int entriesMax = QpairSegment.ENTRY_COUNT_MAX;
    final long poolMax = QpairSegment.POOL_LENGTH_MAX;
    assertRefused(
        "entries=1025, allowed 2..1024",
        () -> pairs.add(QpairClient.attach(socket("rw"), entriesMax + 1, 4096, false)));
    assertRefused(
        "bytes of the pool=67112960, allowed multiples of 4096 up to 67108864",
        () -> pairs.add(QpairClient.attach(socket("rw"), entriesMax, poolMax + 4096, false)));
    final QpairClient largest =
        pairs.add(QpairClient.attach(socket("rw"), entriesMax, poolMax, false));
    for (int id = 0; id < entriesMax - 1; id++) {
      assertTrue(largest.submit(QpairRequest.READ, 0, id, 0, 1, 0));
    }
    assertFalse(largest.submit(QpairRequest.READ, 0, 0, 0, 1, 0), "one entry stays empty");
  }

  @ParameterizedTest
  @ValueSource(strings = {"mem", "uring"})
  void shouldCompleteEveryRequestOnceWhileSlavesAreKilled(final String bdev) {
    startPair(1, bdev);
    final QpairLoad load = new QpairLoad(attach("rw", true), 0, BLOCK_COUNT);
    int dead = 0;
    for (int kill = 0; kill < 3; kill++) {
      final int active = pair.activePidWithStandbys(1, dead);
      load.run(5000);
      pair.killAtWork(active, load::fill, kill * 20_000L);
      dead = active;
      load.run(5000);
    }
    assertSound(load);
  }

  @Test
  void shouldGoOnWithoutAMasterAndBeAdoptedByTheNext() {
    startPair(1, "mem");
    final int active = pair.activePidWithStandbys(1, 0);
    final QpairLoad load = new QpairLoad(attach("rw", true), 0, BLOCK_COUNT / 2);
    load.run(1000);
    load.fill();
    pair.killMaster();
    load.run(20_000);
    pair.startMaster();
    assertEquals(1, pair.counter("sessions_adopted"));
    assertEquals(active, pair.activePidWithStandbys(1, 0), "the slave goes on");
    load.run(5000);
    pair.killAtWork(active, load::fill, 20_000);
    load.run(5000);
    assertSound(load);
    assertSound(new QpairLoad(attach("rw", true), BLOCK_COUNT / 2, BLOCK_COUNT / 2));
  }

  @Test
  void shouldGoOnWhenMasterAndSlaveAreKilledTogether() {
    startPair(1, "mem");
    final QpairLoad load = new QpairLoad(attach("rw", true), 0, BLOCK_COUNT);
    int dead = 0;
    for (int kill = 0; kill < 2; kill++) {
      dead = pair.activePidWithStandbys(1, dead);
      load.run(1000);
      load.fill();
      pair.killTogether(List.of(pair.masterPid(), dead));
      load.run(5000);
      pair.startMaster();
      load.run(5000);
    }
    assertSound(load);
  }

  @Test
  void shouldTellAClientThatNobodyIsLeftAndTakeItAgainAfterwards() {
    startPair(0, "uring");
    final QpairClient client = attach("rw", true);
    final QpairLoad load = new QpairLoad(client, 0, BLOCK_COUNT);
    load.run(1000);
    pair.killTogether(pair.pids());
    assertThrows(QpairException.class, () -> load.run(1000));
    pair.startMaster();
    pair.activePid();
    run(attach("rw", true), QpairRequest.READ, 0);
  }

  @Test
  void shouldTakeBackEverythingFromAClientThatIsKilledAndDisturbNobody() throws IOException {
    startPair(1, "uring");
    final int half = BLOCK_COUNT / 2;
    final QpairLoad other = new QpairLoad(attach("rw", true), 0, half);
    other.run(1000);
    pair.activePidWithStandbys(1, 0);
    // Once, so that what processes open on the first occasion is open.
    killClient(half, other);
    awaitSegments(1);
    final Map<Integer, Integer> fdsBefore = fdCounts();
    for (int kill = 0; kill < CLIENT_KILLS; kill++) {
      killClient(half, other);
      other.run(1000);
    }
    awaitSegments(1);
    Waiting.until(
        "descriptors are as many as before: " + fdsBefore,
        Duration.ofSeconds(20),
        () -> fdCounts().equals(fdsBefore));
    assertSound(other);
  }

  private void killClient(final int firstBlock, final QpairLoad other) throws IOException {
    final Process process =
        new ProcessBuilder(
                ChildJvm.command(
                    QpairLoad.class,
                    List.of(
                        socket("rw").toString(),
                        Integer.toString(firstBlock),
                        Integer.toString(BLOCK_COUNT - firstBlock))))
            .redirectErrorStream(true)
            .start();
    try (BufferedReader out = process.inputReader()) {
      assertEquals(QpairLoad.RUNNING, out.readLine());
      // The slave stands still, so requests of both are in flight when the client dies.
      try (Victim slave = Victim.of(pair.activePid())) {
        slave.signal(Processes.SIGSTOP);
        other.fill();
        Victim.kill((int) process.pid());
        slave.signal(Processes.SIGCONT);
      }
    } finally {
      process.destroyForcibly();
    }
  }

  /** Waits until every process of the pair maps and holds the memory of so many clients at most. */
  private void awaitSegments(final int countMax) {
    Waiting.until(
        "memory of clients is given back",
        Duration.ofSeconds(20),
        () -> {
          for (final int pid : pair.pids()) {
            if (memoryCount(pid, "virtnvme-qpair") > countMax
                || memoryCount(pid, "virtnvme-journal") > countMax) {
              return false;
            }
          }
          return true;
        });
  }

  private static long memoryCount(final int pid, final String name) throws IOException {
    try (Stream<String> lines = Files.lines(Path.of("/proc/" + pid + "/maps"))) {
      return lines.filter(line -> line.contains("/memfd:" + name)).count();
    }
  }

  private Map<Integer, Integer> fdCounts() {
    final Map<Integer, Integer> counts = new TreeMap<>();
    for (final int pid : pair.pids()) {
      final String[] fds = new File("/proc/" + pid + "/fd").list();
      counts.put(pid, fds == null ? -1 : fds.length);
    }
    return counts;
  }

  @ParameterizedTest
  @ValueSource(strings = {"mem", "uring"})
  void shouldFlushWriteZeroesAndUnmap(final String bdev) {
    startPair(1, bdev);
    final QpairClient client = attach("rw", true);
    Mem.fill(client.poolAddress(), 16L * BLOCK_BYTES, (byte) 0x5A);
    client.run(QpairRequest.WRITE, QpairRequest.FLAG_DURABLE, 100, 16, 0, LIMIT_NS);
    client.run(QpairRequest.FLUSH, 0, 0, 0, 0, LIMIT_NS);
    client.run(QpairRequest.WRITE_ZEROES, 0, 102, 3, 0, LIMIT_NS);
    client.run(QpairRequest.UNMAP, 0, 108, 4, 0, LIMIT_NS);
    // What the successor reads is on the disk, not in the dead slave.
    final int active = pair.activePidWithStandbys(1, 0);
    Victim.kill(active);
    client.run(QpairRequest.READ, 0, 100, 16, 0, LIMIT_NS);
    for (int block = 0; block < 16; block++) {
      final boolean isZero = (block >= 2 && block < 5) || (block >= 8 && block < 12);
      for (int offset = 0; offset < BLOCK_BYTES; offset++) {
        assertEquals(
            isZero ? 0 : 0x5A,
            Mem.getByte(client.poolAddress() + (long) block * BLOCK_BYTES + offset),
            "block " + block);
      }
    }
    for (final int opcode : List.of(QpairRequest.WRITE_ZEROES, QpairRequest.UNMAP)) {
      assertThrows(QpairException.class, () -> run(client, opcode, BLOCK_COUNT));
    }
  }

  @Test
  void shouldServeOthersWhileOneFillsItsMemoryWithGarbage() {
    startPair(0, "mem");
    final SplittableRandom random = new SplittableRandom(7);
    final QpairLoad victim = new QpairLoad(attach("rw", true), 0, BLOCK_COUNT);
    final QpairClient hostile = attach("rw", true);
    final long segment =
        hostile.poolAddress() - QpairSegment.poolOffset(hostile.geometry().entryCount());
    for (int round = 0; round < 50; round++) {
      for (int i = 0; i < 2000; i++) {
        Mem.putInt(
            segment + 4L * random.nextInt(QpairSegment.poolOffset(DEPTH + 1) / 4),
            random.nextInt());
      }
      Mem.putInt(segment + QpairSegment.SQ_TAIL_OFFSET, random.nextInt(DEPTH + 3) - 1);
      Mem.putInt(segment + QpairSegment.CQ_HEAD_OFFSET, random.nextInt(DEPTH + 3) - 1);
      // Opcodes of the garbage are mostly unknown, and the volume is the victim's: only reads.
      for (int entry = 0; entry <= DEPTH; entry++) {
        Mem.putByte(
            segment + QpairSegment.REQUESTS_OFFSET + (long) entry * QpairRequest.LENGTH,
            (byte) (random.nextBoolean() ? QpairRequest.READ : random.nextInt(6, 256)));
      }
      victim.run(500);
    }
    assertSound(victim);
    run(attach("rw", false), QpairRequest.READ, 0);
  }
}

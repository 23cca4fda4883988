package io.virtnvme.slave.bdev;

import static io.virtnvme.slave.bdev.BlockChannel.FLAG_DURABLE;
import static io.virtnvme.slave.bdev.BlockChannel.FLAG_UNMAP;
import static io.virtnvme.slave.bdev.BlockChannel.OP_FLUSH;
import static io.virtnvme.slave.bdev.BlockChannel.OP_READ;
import static io.virtnvme.slave.bdev.BlockChannel.OP_UNMAP;
import static io.virtnvme.slave.bdev.BlockChannel.OP_WRITE;
import static io.virtnvme.slave.bdev.BlockChannel.OP_WRITE_ZEROES;
import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.jna.NativeLibrary;
import io.virtnvme.ipc.sys.Epoll;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.sys.Mapping;
import io.virtnvme.ipc.sys.Memfd;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.awaitility.Awaitility;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class UringBdevTest {
  private static final int O_PATH = 0x200000;
  private static final int FILE_BYTES = 8 << 20;
  private static final int BLOCK_BYTES = BdevHarness.BLOCK_BYTES;

  @TempDir private Path folder;
  private Path path;
  private BdevHarness harness;

  @BeforeEach
  void open() throws IOException {
    path = BdevHarness.sparseFile(folder.resolve("disk"), FILE_BYTES);
    harness = new BdevHarness(UringBdev.open(BdevHarness.file(path)));
  }

  @AfterEach
  void close() {
    harness.close();
  }

  private static byte[] random(final int lengthBytes) {
    final byte[] content = new byte[lengthBytes];
    new Random(lengthBytes).nextBytes(content);
    return content;
  }

  private UringBdev bdev() {
    return (UringBdev) harness.bdev();
  }

  @Test
  void shouldWriteAndReadBack() throws IOException {
    final byte[] content = random(1 << 20);
    assertEquals(0, harness.write(BLOCK_BYTES, content));
    assertArrayEquals(content, harness.read(BLOCK_BYTES, content.length));
    final byte[] file = Files.readAllBytes(path);
    assertEquals(0, file[0]);
    assertEquals(content[0], file[BLOCK_BYTES]);
  }

  @Test
  void shouldMoveMoreIovecsThanTheKernelTakesAtOnce() {
    final byte[] content = random(3000 * BLOCK_BYTES);
    harness.fillBuffer(0, content);
    final int count = harness.scatter(0, content.length, 3000, BLOCK_BYTES);
    assertEquals(3000, count);
    assertEquals(0, harness.run(OP_WRITE, harness.iovecs(), count, 0, content.length, 0));
    harness.fillBuffer(0, new byte[content.length]);
    assertEquals(0, harness.run(OP_READ, harness.iovecs(), count, 0, content.length, 0));
    assertArrayEquals(content, harness.bufferContent(0, content.length));
  }

  @Test
  void shouldMoveUnalignedBuffersLongerThanABounceBuffer() {
    final byte[] content = random(BouncePool.BUFFER_BYTES * 5 + BLOCK_BYTES);
    harness.fillBuffer(3, content);
    final int count = harness.scatter(3, content.length, 7, 1);
    assertEquals(0, harness.run(OP_WRITE, harness.iovecs(), count, 4096, content.length, 0));
    assertArrayEquals(content, harness.read(4096, content.length));
    harness.fillBuffer(0, new byte[content.length + 3]);
    assertEquals(count, harness.scatter(3, content.length, 7, 1));
    assertEquals(0, harness.run(OP_READ, harness.iovecs(), count, 4096, content.length, 0));
    assertArrayEquals(content, harness.bufferContent(3, content.length));
  }

  @Test
  void shouldSkipIovecsWithoutLength() {
    final byte[] content = random(2 * BLOCK_BYTES);
    harness.fillBuffer(0, content);
    final long iovecs = harness.iovecs();
    Iovecs.put(Iovecs.at(iovecs, 0), harness.buffer(), 0);
    Iovecs.put(Iovecs.at(iovecs, 1), harness.buffer(), BLOCK_BYTES);
    Iovecs.put(Iovecs.at(iovecs, 2), harness.buffer(), 0);
    Iovecs.put(Iovecs.at(iovecs, 3), harness.buffer() + BLOCK_BYTES, BLOCK_BYTES);
    assertEquals(0, harness.run(OP_WRITE, iovecs, 4, 0, content.length, 0));
    assertArrayEquals(content, harness.read(0, content.length));
  }

  @Test
  void shouldRefuseWhatDoesNotFit() {
    final long iovecs = harness.single(0, BLOCK_BYTES);
    final int inval = -Errno.EINVAL;
    assertEquals(inval, harness.run(OP_READ, iovecs, 1, FILE_BYTES, BLOCK_BYTES, 0));
    assertEquals(inval, harness.run(OP_READ, iovecs, 1, -512, BLOCK_BYTES, 0));
    assertEquals(inval, harness.run(OP_READ, iovecs, 1, 0, 2 * BLOCK_BYTES, 0));
    assertEquals(inval, harness.run(OP_UNMAP, 0, 0, 512, FILE_BYTES, 0));
    assertEquals(inval, harness.run(OP_UNMAP, 0, 0, Long.MAX_VALUE, 1, 0));
    assertEquals(-Errno.EOPNOTSUPP, harness.run(7, iovecs, 1, 0, BLOCK_BYTES, 0));
    assertEquals(0, harness.run(OP_WRITE, iovecs, 0, 0, 0, 0));
    assertEquals(0, harness.io().inFlightCount());
  }

  @Test
  void shouldPunchHolesAndKeepTheLength() throws IOException {
    assertEquals(0, harness.write(0, random(1 << 20)));
    assertEquals(0, harness.run(OP_FLUSH, 0, 0, 0, 0, 0));
    final long before = allocatedBytes();
    assertEquals(0, harness.run(OP_UNMAP, 0, 0, 0, 1 << 20, 0));
    assertTrue(allocatedBytes() < before, "still allocated: " + allocatedBytes());
    assertArrayEquals(new byte[1 << 20], harness.read(0, 1 << 20));
    assertEquals(FILE_BYTES, Files.size(path));
    assertFalse(bdev().punchHoleMissing());
  }

  private long allocatedBytes() throws IOException {
    final Process stat =
        new ProcessBuilder("stat", "-c", "%b", path.toString()).redirectErrorStream(true).start();
    return 512 * Long.parseLong(new String(stat.getInputStream().readAllBytes(), UTF_8).trim());
  }

  @Test
  void shouldWriteZeroesInEveryWayAndKeepNeighbours() {
    for (int way = 0; way < 4; way++) {
      final byte[] content = random(2 << 20);
      assertEquals(0, harness.write(0, content));
      if (way == 2) {
        bdev().onZeroRangeMissing();
      }
      if (way == 3) {
        bdev().onPunchHoleMissing();
      }
      final int flags = (way & 1) == 0 ? FLAG_DURABLE : FLAG_UNMAP;
      final int length = (1 << 20) + BLOCK_BYTES;
      assertEquals(0, harness.run(OP_WRITE_ZEROES, 0, 0, BLOCK_BYTES, length, flags));
      Arrays.fill(content, BLOCK_BYTES, BLOCK_BYTES + length, (byte) 0);
      assertArrayEquals(content, harness.read(0, content.length), "way " + way);
    }
    assertEquals(0, harness.run(OP_UNMAP, 0, 0, 0, 4096, 0));
  }

  @Test
  void shouldAcknowledgeDurableWritesAndFlushes() {
    final byte[] content = random(4096);
    harness.fillBuffer(0, content);
    assertEquals(0, harness.run(OP_WRITE, harness.single(0, 4096), 1, 0, 4096, FLAG_DURABLE));
    assertEquals(0, harness.run(OP_FLUSH, 0, 0, 0, 0, 0));
    assertArrayEquals(content, harness.read(0, 4096));
  }

  @Test
  void shouldFailReadsBehindTheEndOfAFileCutByOthers() throws IOException {
    assertEquals(0, harness.write(0, random(16 * BLOCK_BYTES)));
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.setLength(4 * BLOCK_BYTES + 100);
    }
    for (final int shift : new int[] {0, 1}) {
      final long iovecs = harness.single(shift, 16 * BLOCK_BYTES);
      assertEquals(-Errno.EIO, harness.run(OP_READ, iovecs, 1, 0, 16 * BLOCK_BYTES, 0));
      final int count = harness.scatter(shift, 16 * BLOCK_BYTES, 4, BLOCK_BYTES);
      assertEquals(-Errno.EIO, harness.run(OP_READ, iovecs, count, 0, 16 * BLOCK_BYTES, 0));
    }
    assertEquals(4 * BLOCK_BYTES, harness.read(0, 4 * BLOCK_BYTES).length);
  }

  @Test
  void shouldFailRequestsWhoseDescriptorIsGone() {
    makeUseless(bdev().fd());
    assertEquals(-Errno.EBADF, harness.write(0, new byte[BLOCK_BYTES]));
    assertEquals(-Errno.EBADF, harness.run(OP_FLUSH, 0, 0, 0, 0, 0));
    assertEquals(-Errno.EBADF, harness.run(OP_WRITE_ZEROES, 0, 0, 0, BLOCK_BYTES, 0));
    assertEquals(0, harness.io().inFlightCount());
  }

  /**
   * Puts a descriptor that is good for no I/O (O_PATH, open(2): EBADF) in the place of {@code fd}.
   * Closed, its number would go to whatever any thread of this JVM opens next, a class of the
   * library for one, and that file would get the writes.
   */
  private void makeUseless(final int fd) {
    final NativeLibrary libc = NativeLibrary.getProcess();
    final int pathOnly = libc.getFunction("open").invokeInt(new Object[] {path.toString(), O_PATH});
    assertTrue(pathOnly >= 0);
    assertEquals(fd, libc.getFunction("dup2").invokeInt(new Object[] {pathOnly, fd}));
    Fds.close(pathOnly);
  }

  @Test
  void shouldFailOnlyTheRequestWhoseGuestMemoryIsGone() {
    final int fd = Memfd.create("guest", 1 << 20);
    try (Mapping guest = Mapping.map(fd, 0, 1 << 20)) {
      Fds.truncate(fd, 0);
      Iovecs.put(harness.iovecs(), guest.address(), 4096);
      assertEquals(-Errno.EFAULT, harness.run(OP_READ, harness.iovecs(), 1, 0, 4096, 0));
      assertEquals(-Errno.EFAULT, harness.run(OP_WRITE, harness.iovecs(), 1, 0, 4096, 0));
    } finally {
      Fds.close(fd);
    }
    assertEquals(0, harness.write(0, new byte[4096]));
  }

  /**
   * The JVM throws its error for a copy from or to a missing page anywhere later, also between two
   * steps of ours: whatever was half done, nothing may stay taken.
   */
  @Test
  void shouldLoseNoRoomWhenACopyMeetsAPageThatIsGone() {
    final int fd = Memfd.create("guest", 1 << 20);
    try (Mapping guest = Mapping.map(fd, 0, 1 << 20)) {
      Fds.truncate(fd, 0);
      final long bad = Iovecs.at(harness.iovecs(), 0);
      final long good = Iovecs.at(harness.iovecs(), 1);
      Iovecs.put(bad, guest.address() + 1, 4096);
      Iovecs.put(good, harness.buffer() + 1, 4096);
      int faults = 0;
      for (int i = 0; i < 300; i++) {
        faults += catchFault(() -> submitSome(bad, good));
        harness.io().recover();
        faults += catchFault(this::drain);
        while (harness.io().inFlightCount() > 0) {
          harness.io().recover();
          faults += catchFault(this::drain);
        }
      }
      assertTrue(faults >= 300, "only " + faults + " faults: the test tests nothing");
    } finally {
      Fds.close(fd);
    }
    shouldAskForARetryWhenFullAndEndEverything();
    shouldBoundTheBounceBuffersOfOneDisk();
  }

  private void submitSome(final long bad, final long good) {
    final BlockChannel channel = harness.channel();
    for (int i = 0; i < 3; i++) {
      channel.submit(OP_WRITE, good, 1, 8192, 4096, 0, 1);
      channel.submit(OP_READ, bad, 1, 0, 4096, 0, 2);
      channel.submit(OP_WRITE, bad, 1, 0, 4096, 0, 3);
      harness.io().poll((tag, result) -> {}, 32);
    }
  }

  private void drain() {
    final long deadlineNs = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    while (harness.io().inFlightCount() > 0 && System.nanoTime() < deadlineNs) {
      harness.io().poll((tag, result) -> {}, 32);
    }
  }

  private static int catchFault(final Runnable step) {
    try {
      step.run();
      return 0;
    } catch (final InternalError e) {
      return 1;
    }
  }

  @Test
  void shouldAskForARetryWhenFullAndEndEverything() {
    final long iovecs = harness.single(0, 4096);
    int accepted = 0;
    while (submit(iovecs, accepted) == BlockChannel.PENDING) {
      accepted++;
    }
    assertEquals(UringChannel.REQUEST_COUNT, accepted);
    assertEquals(accepted, harness.io().inFlightCount());
    assertTrue(harness.io().armWakeUp());
    harness.io().disarmWakeUp();
    final List<Long> ended = awaitEnds(accepted);
    assertEquals(accepted, ended.stream().distinct().count());
    assertEquals(0, harness.io().inFlightCount());
    assertFalse(harness.io().armWakeUp());
    assertEquals(0, harness.write(0, new byte[4096]));
  }

  @Test
  void shouldBoundTheBounceBuffersOfOneDisk() {
    final long iovecs = harness.single(1, 4096);
    int accepted = 0;
    while (submit(iovecs, accepted) == BlockChannel.PENDING) {
      accepted++;
    }
    assertEquals(BouncePool.BUFFER_COUNT / 4, accepted);
    assertEquals(accepted, awaitEnds(accepted).size());
    assertEquals(BlockChannel.PENDING, submit(iovecs, 0));
    awaitEnds(1);
  }

  private int submit(final long iovecs, final int tag) {
    return harness.channel().submit(OP_READ, iovecs, 1, 0, 4096, 0, tag);
  }

  private List<Long> awaitEnds(final int count) {
    final List<Long> ended = new ArrayList<>();
    Awaitility.await()
        .pollInSameThread()
        .pollDelay(0, TimeUnit.MILLISECONDS)
        .pollInterval(1, TimeUnit.MILLISECONDS)
        .until(
            () -> {
              harness.io().poll((tag, result) -> ended.add(tag), 7);
              return ended.size() >= count;
            });
    return ended;
  }

  @Test
  void shouldServeMoreRequestsThanTheRingHasEntries() throws IOException {
    final List<UringBdev> disks = new ArrayList<>();
    final long iovecs = harness.single(0, 4096);
    int accepted = 0;
    for (int disk = 0; disk < 5; disk++) {
      final Path file = BdevHarness.sparseFile(folder.resolve("disk" + disk), 1 << 20);
      final UringBdev bdev = UringBdev.open(BdevHarness.file(file));
      disks.add(bdev);
      final BlockChannel channel = bdev.channel(harness.io());
      assertSame(channel, bdev.channel(harness.io()));
      while (channel.submit(OP_READ, iovecs, 1, 0, 4096, 0, accepted) == BlockChannel.PENDING) {
        accepted++;
      }
    }
    assertEquals(5 * UringChannel.REQUEST_COUNT, accepted);
    assertEquals(accepted, awaitEnds(accepted).stream().distinct().count());
    disks.forEach(UringBdev::close);
  }

  @Test
  void shouldReuseTheRoomOfClosedDisks() throws IOException {
    for (int i = 0; i < 50; i++) {
      final UringBdev bdev = UringBdev.open(BdevHarness.file(path));
      final UringChannel channel = harness.io().channel(bdev);
      assertEquals(
          BlockChannel.PENDING, channel.submit(OP_READ, harness.single(0, 4096), 1, 0, 4096, 0, i));
      assertEquals(List.of((long) i), awaitEnds(1));
      bdev.close();
    }
    assertEquals(2, harness.io().channelCount());
  }

  @Test
  void shouldWakeEpollWhenARequestEnds() {
    final UringReactorIo io = harness.io();
    try (Epoll epoll = new Epoll(4)) {
      epoll.add(io.fd(), Epoll.IN, 5);
      final List<Long> ended = new ArrayList<>();
      for (int i = 0; i < 200; i++) {
        assertEquals(BlockChannel.PENDING, submit(harness.single(0, 4096), i));
        while (ended.size() <= i) {
          if (!io.armWakeUp()) {
            assertEquals(1, epoll.await(10_000), "not woken by request " + i);
          }
          io.disarmWakeUp();
          io.poll((tag, result) -> ended.add(tag), 32);
        }
        assertFalse(io.armWakeUp());
        assertEquals(0, epoll.await(0));
        io.disarmWakeUp();
      }
    }
  }

  @Test
  void shouldLetAnotherThreadPrepareTheChannel() throws Exception {
    final UringReactorIo io = new UringReactorIo();
    final UringBdev bdev = UringBdev.open(BdevHarness.file(path));
    final BlockChannel channel = bdev.channel(io);
    final List<Long> ended = new ArrayList<>();
    final FutureTask<Integer> reactor =
        new FutureTask<>(
            () -> {
              final int started =
                  channel.submit(OP_READ, harness.single(0, 4096), 1, 0, 4096, 0, 77);
              while (io.inFlightCount() > 0) {
                io.poll((tag, result) -> ended.add(tag + result), 32);
              }
              io.close();
              return started;
            });
    new Thread(reactor, "reactor").start();
    assertEquals(BlockChannel.PENDING, reactor.get(10, TimeUnit.SECONDS));
    assertEquals(List.of(77L), ended);
    bdev.close();
  }

  @Test
  void shouldTakeOverANewLengthOnlyWhenTheFileHasIt() throws IOException {
    final long grown = 2L * FILE_BYTES;
    final BdevException e =
        assertThrows(BdevException.class, () -> bdev().resize(grown / BLOCK_BYTES));
    assertTrue(e.getMessage().contains("file=" + FILE_BYTES), e.getMessage());
    BdevHarness.sparseFile(path, grown);
    bdev().resize(grown / BLOCK_BYTES);
    assertEquals(grown, harness.channel().lengthBytes());
    assertEquals(grown / BLOCK_BYTES, bdev().description().blockCount());
    assertEquals(0, harness.write(grown - 4096, random(4096)));
    bdev().resize(8);
    assertEquals(-Errno.EINVAL, harness.write(4096, random(4096)));
  }
}

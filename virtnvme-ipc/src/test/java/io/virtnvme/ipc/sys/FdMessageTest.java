package io.virtnvme.ipc.sys;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class FdMessageTest {
  private final FdMessage message = new FdMessage();
  private final long data = Mem.allocate(256);
  private int[] pair;

  @BeforeEach
  void connect() {
    pair = UnixSocket.streamPair();
  }

  @AfterEach
  void close() {
    Fds.close(pair[0]);
    Fds.close(pair[1]);
    message.close();
    Mem.free(data);
  }

  @Test
  void shouldPassDescriptorsWithBytes() {
    final int memfd = Memfd.createSealed("test", 4096);
    Mem.putLong(data, 42);
    assertEquals(8, message.send(pair[0], data, 8, new int[] {memfd, memfd}, 2));
    Fds.close(memfd);
    Mem.putLong(data, 0);
    assertEquals(8, message.receive(pair[1], data, 256, 0));
    assertEquals(42, Mem.getLong(data));
    assertEquals(2, message.fdCount());
    assertEquals(4096, Fds.length(message.fd(1)));
    message.closeFds();
  }

  @Test
  void shouldLeaveAPeekedMessageWithItsDescriptorsInTheSocket() {
    final int memfd = Memfd.createSealed("test", 8192);
    assertEquals(8, message.send(pair[0], data, 8, new int[] {memfd}, 1));
    Fds.close(memfd);
    for (int i = 0; i < 3; i++) {
      assertEquals(8, message.receive(pair[1], data, 256, FdMessage.PEEK));
      assertEquals(1, message.fdCount());
      assertEquals(8192, Fds.length(message.fd(0)));
      message.closeFds();
    }
    assertEquals(8, message.receive(pair[1], data, 256, 0));
    assertEquals(1, message.fdCount());
    message.closeFds();
    assertEquals(-Errno.EAGAIN, message.receive(pair[1], data, 256, FdMessage.DONT_WAIT));
  }

  @Test
  void shouldPeekAMessageThatArrivedInPieces() {
    final int memfd = Memfd.createSealed("test", 4096);
    UnixSocket.peekFrom(pair[1], 0);
    assertEquals(8, message.send(pair[0], data, 8, new int[] {memfd}, 1));
    assertEquals(16, message.send(pair[0], data, 16, new int[0], 0));
    Fds.close(memfd);
    long peeked = message.receive(pair[1], data, 24, FdMessage.PEEK);
    final int fdCount = message.fdCount();
    message.closeFds();
    if (peeked < 24) {
      peeked +=
          message.receive(
              pair[1], data + peeked, (int) (24 - peeked), FdMessage.PEEK | FdMessage.DONT_WAIT);
    }
    assertEquals(24, peeked);
    assertEquals(1, fdCount);
  }

  @Test
  void shouldSayWhetherThePeerHasReadWhatWasSent() {
    message.send(pair[0], data, 8, new int[0], 0);
    assertTrue(UnixSocket.hasUnreadOutput(pair[0]));
    message.receive(pair[1], data, 256, 0);
    assertEquals(false, UnixSocket.hasUnreadOutput(pair[0]));
  }

  @Test
  void shouldNotLeakDescriptorsOfBytesOnlyReceives() throws IOException {
    final int memfd = Memfd.createSealed("refused", 4096);
    message.send(pair[0], data, 8, new int[] {memfd}, 1);
    assertEquals(8, message.receiveBytes(pair[1], data, 256, 0));
    assertEquals(1, openMemfds("refused"));
    Fds.close(memfd);
    assertEquals(0, openMemfds("refused"));
  }

  private static long openMemfds(final String name) throws IOException {
    try (Stream<Path> fds = Files.list(Path.of("/proc/self/fd"))) {
      return fds.filter(fd -> isMemfd(fd, name)).count();
    }
  }

  private static boolean isMemfd(final Path fd, final String name) {
    try {
      return Files.readSymbolicLink(fd).toString().startsWith("/memfd:" + name);
    } catch (final IOException e) {
      // Closed since the folder was listed; threads of the JVM open and close files when they like.
      return false;
    }
  }

  @Test
  void shouldLetTheKernelWitnessWhatWasSentAndTaken() {
    final long witnesses = Mem.allocate(3L * FdMessage.WITNESS_LENGTH);
    for (int i = 0; i < 3; i++) {
      FdMessage.clear(witnesses + (long) i * FdMessage.WITNESS_LENGTH);
    }
    final int memfd = Memfd.createSealed("test", 4096);
    assertEquals(0, FdMessage.witnessedBytes(witnesses));
    assertEquals(12, message.sendWitnessed(pair[0], witnesses, data, 12, new int[] {memfd}, 1));
    assertEquals(12, FdMessage.witnessedBytes(witnesses));
    assertEquals(20, message.send(pair[0], data, 20, new int[0], 0));
    Fds.close(memfd);
    assertEquals(32, UnixSocket.unreadInputBytes(pair[1]));
    final long taken = witnesses + FdMessage.WITNESS_LENGTH;
    assertEquals(28, FdMessage.takeWitnessed(pair[1], taken, data, new int[] {12, 16}, 2));
    assertEquals(12, FdMessage.witnessedBytes(taken));
    assertEquals(16, FdMessage.witnessedBytes(taken + FdMessage.WITNESS_LENGTH));
    assertEquals(4, UnixSocket.unreadInputBytes(pair[1]));
    Mem.free(witnesses);
  }

  @Test
  void shouldWitnessNothingWhenTheSocketTakesNothing() {
    final long witness = Mem.allocate(FdMessage.WITNESS_LENGTH);
    FdMessage.clear(witness);
    Fds.setNonBlocking(pair[0], true);
    while (message.send(pair[0], data, 256, new int[0], 0) == 256) {
      // Until it is full.
    }
    assertEquals(-Errno.EAGAIN, message.sendWitnessed(pair[0], witness, data, 8, new int[0], 0));
    assertEquals(0, FdMessage.witnessedBytes(witness));
    Mem.free(witness);
  }
}

package io.virtnvme.slave.bdev;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.virtnvme.ipc.memory.Mem;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.file.Path;

/**
 * A process that owns a disk and is killed with writes in flight. Argument: the device. It writes
 * when it reads a line, says {@code SUBMITTED} when the kernel has all of them, and waits for its
 * death.
 */
final class FenceVictim {
  static final int PIECE_BYTES = 64 * 1024;
  static final int PIECE_COUNT = 32;
  static final String LOCKED = "LOCKED";
  static final String SUBMITTED = "SUBMITTED";

  private FenceVictim() {}

  /** What each long of a piece holds. */
  static long mark(final int piece) {
    return 0x5A5A_0000_0000_0000L | piece;
  }

  public static void main(final String[] args) throws IOException {
    final UringBdev bdev = UringBdev.open(BdevHarness.file(Path.of(args[0])));
    if (!bdev.tryFence()) {
      throw new IllegalStateException("the disk is in use by " + bdev.fenceHolder());
    }
    System.out.println(LOCKED);
    final BufferedReader input = new BufferedReader(new InputStreamReader(System.in, UTF_8));
    input.readLine();
    final UringReactorIo io = new UringReactorIo();
    final BlockChannel channel = bdev.channel(io);
    final long memory = Mem.allocate((long) (PIECE_COUNT + 1) * PIECE_BYTES);
    final long buffers = (memory + PIECE_BYTES - 1) & -PIECE_BYTES;
    final long iovecs = Mem.allocate((long) PIECE_COUNT * Iovecs.ENTRY_LENGTH);
    for (int piece = 0; piece < PIECE_COUNT; piece++) {
      final long buffer = buffers + (long) piece * PIECE_BYTES;
      for (int i = 0; i < PIECE_BYTES; i += Long.BYTES) {
        Mem.putLong(buffer + i, mark(piece));
      }
      final long iovec = Iovecs.at(iovecs, piece);
      Iovecs.put(iovec, buffer, PIECE_BYTES);
      final long offset = (long) piece * PIECE_BYTES;
      channel.submit(BlockChannel.OP_WRITE, iovec, 1, offset, PIECE_BYTES, 0, piece);
    }
    io.poll((tag, result) -> {}, 0);
    System.out.println(SUBMITTED);
    // Nobody writes a second line: this waits until the process is killed.
    input.readLine();
  }
}

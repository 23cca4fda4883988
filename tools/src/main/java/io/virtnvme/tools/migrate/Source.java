package io.virtnvme.tools.migrate;

import io.virtnvme.ipc.qpair.QpairClient;
import io.virtnvme.ipc.segment.DirtySegment;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.BdevMigration.State;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.VolumeReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.BitSet;
import java.util.concurrent.TimeUnit;

/**
 * A migration as the source has it: passes over what changed, until so little is left that its
 * guests can wait for the rest; then the disk changes hands. One thread, but for {@link #cancel}.
 *
 * <p>An attempt that ends before the disk was given away leaves the source as it was. One that ends
 * later is completed by the next: it finds on record where the disk stands, and takes all the same
 * steps.
 */
final class Source {
  private static final int READ_BYTES = 1 << 20;
  private static final int READ_DEPTH = 8;
  private static final long READ_TIMEOUT_NS = TimeUnit.SECONDS.toNanos(60);
  private static final int PASSES_MAX = 50;
  private static final int IDLE_PASSES_MAX = 6;
  private static final int ATTEMPTS_MAX = 8;

  /** What is still dirty after a pass must be this part of what was, or the pass did not help. */
  private static final double HELPFUL = 0.9;

  private final Wire wire;
  private final DiskControl control;
  private final SourceSettings settings;
  private final Progress progress;
  private final Pace pace;
  private final BitSet resent = new BitSet();
  private volatile boolean cancelled;
  private DiskControl.Disk disk;
  private ChunkTable table;
  private VolumeReader reader;
  private DirtySegment dirty;
  private boolean isMoved;
  private long blackoutNs = -1;
  private int mismatchCount;
  private int zeroFirst;
  private int zeroCount;

  Source(
      final Wire wire,
      final DiskControl control,
      final SourceSettings settings,
      final Progress progress) {
    this.wire = wire;
    this.control = control;
    this.settings = settings;
    this.progress = progress;
    this.pace = new Pace(settings.bytesPerSecond());
  }

  /** Ends the attempt, unless the disk is changing hands already. Any thread. */
  void cancel() {
    cancelled = true;
  }

  /** How long writes were held back, ns; -1 when none of this attempt were. */
  long blackoutNs() {
    return blackoutNs;
  }

  /** Chunks that the destination did not read as they were sent; they were sent again. */
  int mismatchCount() {
    return mismatchCount;
  }

  /** Whether the disk belongs to the destination: if this did not end well, run it again. */
  boolean isMoved() {
    return isMoved;
  }

  /**
   * Moves the disk.
   *
   * @throws IOException when the connection broke
   * @throws CommandFailedException when it cannot be moved, or was cancelled
   */
  void run() throws IOException {
    disk = control.disk();
    checkState();
    table = new ChunkTable(disk.lengthBytes());
    if (!greet()) {
      progress.say("the destination has it already");
      return;
    }
    final String endpoint = "migrate-" + control.name();
    try (QpairClient client =
        QpairClient.attach(
            control.openEndpoint(endpoint, true),
            READ_DEPTH + 1,
            (long) READ_DEPTH * READ_BYTES,
            false)) {
      reader = new VolumeReader(client, READ_DEPTH, READ_BYTES, READ_TIMEOUT_NS);
      receiveSums(false);
      if (isMoved) {
        copyAll();
        handOver();
      } else {
        copyWhileItChanges();
      }
    } finally {
      control.closeEndpoint(endpoint);
    }
  }

  private void checkState() throws IOException {
    final BdevMigration at = disk.migration();
    isMoved = at.state() == State.MOVED;
    if (at.state() == State.RECEIVING || at.state() == State.PREPARED) {
      throw new CommandFailedException(
          control.name() + " is being received from " + at.peer() + " itself");
    }
    if (isMoved && !at.peer().equals(settings.to())) {
      throw new CommandFailedException(
          control.name()
              + " was given to "
              + at.peer()
              + "; only --to "
              + at.peer()
              + " can complete that");
    }
    if (isMoved) {
      progress.say("was given to " + at.peer() + " before: completing that");
      // It may have been read from a record that was not on the device yet.
      control.migration(at);
    }
  }

  /** False when the destination has the disk already. */
  private boolean greet() throws IOException {
    new Hello(
            Hello.MAJOR,
            Hello.MINOR,
            disk.blockBytes(),
            ChunkTable.CHUNK_BYTES,
            isMoved,
            settings.verify(),
            disk.lengthBytes(),
            disk.uuid(),
            control.name())
        .put(wire.payload());
    wire.send(FrameType.HELLO);
    wire.flush();
    wire.expect(FrameType.WELCOME);
    final int major = wire.content().getShort();
    if (major != Hello.MAJOR) {
      throw new ProtocolException(
          "the destination speaks version " + major + ", this end " + Hello.MAJOR);
    }
    wire.content().getShort();
    final boolean isThere = wire.content().get() != 0;
    if (isThere && !isMoved) {
      throw new ProtocolException("the destination has a disk that was never given to it");
    }
    return !isThere;
  }

  /**
   * Takes what the destination has.
   *
   * @param sent all of it should be what was sent: what is not goes again
   */
  private void receiveSums(final boolean sent) throws IOException {
    int next = 0;
    while (next < table.count()) {
      checkCancelled();
      wire.expect(FrameType.SUMS);
      final ByteBuffer content = wire.content();
      final long first = content.getLong();
      final int count = content.remaining() / Long.BYTES;
      if (first != next || count > table.count() - next || content.remaining() % Long.BYTES != 0) {
        throw new ProtocolException(
            "checksums of " + count + " chunks from " + first + ", not from " + next);
      }
      for (; content.hasRemaining(); next++) {
        final long sum = content.getLong();
        if (sent && sum != table.sum(next)) {
          mismatchCount++;
          resent.set(next);
        }
        table.sum(next, sum);
      }
    }
  }

  private void checkCancelled() {
    if (cancelled) {
      throw new CommandFailedException("cancelled: " + control.name() + " stays here");
    }
  }

  private void copyWhileItChanges() throws IOException {
    dirty = control.track();
    try {
      forgetMarks();
      copyAll();
      boolean verified = !settings.verify();
      int idlePasses = 0;
      int attempts = 0;
      while (true) {
        final long left = leftBytes();
        if (progress.estimateNs(left)
            <= TimeUnit.MILLISECONDS.toNanos(settings.maxBlackoutMs()) / 2) {
          if (!verified) {
            verify();
            verified = true;
            continue;
          }
          if (handOver()) {
            return;
          }
          attempts++;
        }
        if (attempts == ATTEMPTS_MAX
            || idlePasses == IDLE_PASSES_MAX
            || progress.passCount() == PASSES_MAX) {
          throw new CommandFailedException(
              control.name()
                  + " changes as fast as it is sent, "
                  + (left >> 20)
                  + " MiB are left: limit its guests with bdev_set_qos_limit, or give more with"
                  + " --bandwidth or --max-blackout");
        }
        progress.beginPass(left);
        copyDirty();
        endPass();
        idlePasses = leftBytes() > left * HELPFUL ? idlePasses + 1 : 0;
      }
    } finally {
      dirty.close();
      control.untrack();
    }
  }

  private long leftBytes() {
    return (dirty.dirtyCount() + resent.cardinality()) * ChunkTable.CHUNK_BYTES;
  }

  /** Those of a helper that was killed: everything is read after this. */
  private void forgetMarks() {
    for (int word = 0; word < dirty.wordCount(); word++) {
      dirty.copied(word, dirty.take(word));
    }
  }

  private void copyAll() throws IOException {
    progress.beginPass(table.lengthBytes());
    copy(0, table.lengthBytes());
    endPass();
  }

  private void copyDirty() throws IOException {
    final long[] again = resent.toLongArray();
    for (int word = 0; word < dirty.wordCount(); word++) {
      final long taken = dirty.take(word);
      long marks = taken | (word < again.length ? again[word] : 0);
      while (marks != 0) {
        final int first = Long.numberOfTrailingZeros(marks);
        final int end = first + Long.numberOfTrailingZeros(~(marks >>> first));
        final int chunk = word * Long.SIZE + first;
        final int last = word * Long.SIZE + end - 1;
        copy(table.offset(chunk), table.offset(last) + table.length(last));
        marks = end == Long.SIZE ? 0 : marks & -1L << end;
      }
      // Whoever goes on after us compares everything again, so sent is as good as written.
      dirty.copied(word, taken);
    }
    resent.clear();
  }

  private void copy(final long begin, final long end) throws IOException {
    reader.read(
        begin,
        end,
        (offset, bytes, count, errno) -> {
          if (errno != 0) {
            throw new IOException(
                "cannot read: offset=" + offset + " length=" + count + ": " + Errno.text(errno));
          }
          for (int at = 0; at < count; at += ChunkTable.CHUNK_BYTES) {
            onChunk((int) ((offset + at) / ChunkTable.CHUNK_BYTES), bytes, at);
          }
        });
  }

  private void onChunk(final int chunk, final byte[] bytes, final int at) throws IOException {
    if (!isMoved) {
      checkCancelled();
    }
    wire.expectNothing();
    final int length = table.length(chunk);
    final boolean isZero = ChunkTable.isZero(bytes, at, length);
    final long sum = isZero ? table.zeroSum(chunk) : table.compute(bytes, at, length);
    if (sum == table.sum(chunk)) {
      progress.onSkipped(length);
    } else if (isZero) {
      if (zeroCount > 0 && zeroFirst + zeroCount != chunk) {
        sendZeroes();
      }
      zeroFirst = zeroCount == 0 ? chunk : zeroFirst;
      zeroCount++;
      progress.onZero(length);
    } else {
      wire.payload().putLong(chunk).putLong(sum).put(bytes, at, length);
      progress.onSent(length);
      pace.sent(wire.send(FrameType.CHUNK));
    }
    table.sum(chunk, sum);
    progress.onDone(length);
  }

  private void sendZeroes() throws IOException {
    if (zeroCount > 0) {
      wire.payload().putLong(zeroFirst).putInt(zeroCount);
      zeroCount = 0;
      wire.send(FrameType.ZERO);
    }
  }

  private void endPass() throws IOException {
    sendZeroes();
    wire.payload().putInt(progress.passCount());
    wire.send(FrameType.PASS_END);
    wire.flush();
    wire.expect(FrameType.PASS_DONE);
    if (wire.content().getInt() != progress.passCount()) {
      throw new ProtocolException("another pass is done than was sent");
    }
    progress.endPass();
  }

  private void verify() throws IOException {
    progress.say("the destination reads everything again");
    wire.sendEmpty(FrameType.VERIFY);
    receiveSums(true);
    progress.say("chunks that differ: " + mismatchCount);
  }

  /** The disk changes hands; false when it did not, and goes on changing. */
  private boolean handOver() throws IOException {
    final long beginNs = System.nanoTime();
    final boolean wasMoved = isMoved;
    if (wasMoved) {
      prepare();
    } else if (!giveAway()) {
      progress.say("the rest did not get through in time: another pass");
      return false;
    }
    wire.sendEmpty(FrameType.COMMIT);
    wire.expect(FrameType.COMMITTED);
    blackoutNs = wasMoved ? -1 : System.nanoTime() - beginNs;
    return true;
  }

  /** Whether nothing changed from the last pass to the moment when the disk was given away. */
  private boolean giveAway() throws IOException {
    checkCancelled();
    final long hold;
    try {
      hold = control.hold(settings.maxBlackoutMs());
    } catch (final RpcException e) {
      if (e.code() == RpcException.ETIMEDOUT || e.code() == RpcException.EAGAIN) {
        return false;
      }
      throw e;
    }
    try {
      progress.beginPass(leftBytes());
      copyDirty();
      sendZeroes();
      prepare();
      isMoved = control.moveAway(new BdevMigration(State.MOVED, disk.uuid(), settings.to()), hold);
    } finally {
      if (!isMoved) {
        control.release(hold);
      }
    }
    return isMoved;
  }

  private void prepare() throws IOException {
    wire.payload().putLong(table.digest());
    wire.send(FrameType.PREPARE);
    wire.flush();
    wire.expect(FrameType.PREPARED);
  }
}

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
import java.nio.file.Files;
import java.util.BitSet;
import java.util.OptionalLong;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * A migration as the source has it: passes over what changed, until so little is left that its
 * guests can wait for the rest; then the disk changes hands, or its copy is complete. One thread,
 * but for {@link #cancel}.
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

  /** Eight times this is longer than a new master takes to start. */
  private static final long MASTER_PAUSE_NS = TimeUnit.SECONDS.toNanos(1);

  /** What is still dirty after a pass must be this part of what was, or the pass did not help. */
  private static final double HELPFUL = 0.9;

  private final Destination destination;
  private final DiskControl control;
  private final SourceSettings settings;
  private final Progress progress;
  private final Pace pace;
  private final Throttle throttle;
  private final BitSet resent = new BitSet();
  private volatile boolean cancelled;
  private DiskControl.Disk disk;
  private ChunkTable table;
  private VolumeReader reader;
  private DirtySegment dirty;

  /** Null when nobody asked for it. */
  private Duplicates duplicates;

  private boolean isMoved;

  /** Guests wait just now. */
  private boolean isHeld;

  private long blackoutNs = -1;
  private int mismatchCount;
  private int zeroFirst;
  private int zeroCount;

  Source(
      final Destination destination,
      final DiskControl control,
      final SourceSettings settings,
      final Progress progress) {
    this.destination = destination;
    this.control = control;
    this.settings = settings;
    this.progress = progress;
    this.pace = new Pace(settings.bytesPerSecond());
    this.throttle = new Throttle(control, progress);
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
    if (!destination.greet(disk, isMoved)) {
      progress.say("the destination has it already");
      deleteIndex();
      return;
    }
    final String endpoint = "migrate-" + control.name();
    try (QpairClient client =
        QpairClient.attach(
            control.openEndpoint(endpoint, true),
            READ_DEPTH + 2,
            (long) READ_DEPTH * READ_BYTES + ChunkTable.CHUNK_BYTES,
            false)) {
      reader = new VolumeReader(client, READ_DEPTH, READ_BYTES, READ_TIMEOUT_NS);
      destination.readSums(table, this::onSum);
      if (isMoved) {
        copyAll();
        handOver();
      } else {
        copyWhileItChanges();
      }
      if (isMoved) {
        deleteIndex();
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

  private void onSum(final int chunk, final long sum) {
    checkCancelled();
    throttle.renew();
    table.sum(chunk, sum);
  }

  /** What should be as it was sent, and is not, goes again. */
  private void onVerifiedSum(final int chunk, final long sum) {
    if (!table.is(chunk, sum)) {
      mismatchCount++;
      resent.set(chunk);
    }
    onSum(chunk, sum);
  }

  private void checkCancelled() {
    if (cancelled) {
      throw new CommandFailedException("cancelled: " + control.name() + " stays here");
    }
  }

  private void copyWhileItChanges() throws IOException {
    dirty = control.track();
    // Behind the marks, which one helper has.
    requireLength();
    try (ChunkIndex index = openIndex()) {
      duplicates = index == null ? null : new Duplicates(index, table, reader::readAside);
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
          if (finish()) {
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
                  + " MiB are left: slow its guests down with --throttle, or give more with"
                  + " --bandwidth or --max-blackout");
        }
        progress.beginPass(left);
        copyDirty();
        endPass();
        if (leftBytes() <= left * HELPFUL) {
          idlePasses = 0;
        } else if (settings.throttle() && !throttle.isTightest()) {
          throttle.tighten();
        } else {
          idlePasses++;
        }
      }
    } finally {
      throttle.end();
      dirty.close();
      control.untrack();
    }
  }

  /** From the marks on it cannot be resized: what it grew before then would not be copied. */
  private void requireLength() throws IOException {
    final long lengthBytes = control.disk().lengthBytes();
    if (lengthBytes != table.lengthBytes()) {
      throw new CommandFailedException(
          control.name()
              + " was resized from "
              + table.lengthBytes()
              + " to "
              + lengthBytes
              + " bytes meanwhile: run it again");
    }
  }

  private ChunkIndex openIndex() throws IOException {
    if (!settings.findDuplicates()) {
      return null;
    }
    if (!destination.canRefer()) {
      progress.say("the destination cannot copy equal chunks by itself: everything is sent");
      return null;
    }
    return ChunkIndex.open(control.indexFile(disk.uuid()), table, progress::say);
  }

  /** Nobody needs it any more. */
  private void deleteIndex() {
    try {
      Files.deleteIfExists(control.indexFile(disk.uuid()));
    } catch (final IOException e) {
      progress.say("cannot remove " + control.indexFile(disk.uuid()) + ": " + e.getMessage());
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
    if (!isHeld) {
      throttle.renew();
    }
    destination.expectNothing();
    final int length = table.length(chunk);
    final boolean isZero = ChunkTable.isZero(bytes, at, length);
    final long sum = isZero ? table.zeroSum(chunk) : table.compute(bytes, at, length);
    boolean isSent = false;
    if (table.is(chunk, sum)) {
      progress.onSkipped(length);
    } else if (isZero) {
      if (zeroCount > 0 && zeroFirst + zeroCount != chunk) {
        sendZeroes();
      }
      zeroFirst = zeroCount == 0 ? chunk : zeroFirst;
      zeroCount++;
      progress.onZero(length);
    } else {
      isSent = send(chunk, sum, bytes, at);
    }
    table.sum(chunk, sum);
    progress.onDone(length, isSent);
  }

  /** Whether its bytes were; else the destination copies it from another place. */
  private boolean send(final int chunk, final long sum, final byte[] bytes, final int at)
      throws IOException {
    // Nothing is looked up while guests wait: to read a chunk may take longer than to send it.
    final int twin =
        duplicates == null || isHeld ? ChunkIndex.NONE : duplicates.find(chunk, sum, bytes, at);
    if (twin == ChunkIndex.NONE) {
      progress.onSent(table.length(chunk));
      pace.sent(destination.write(table, chunk, sum, bytes, at));
    } else {
      progress.onDuplicate(table.length(chunk));
      pace.sent(destination.refer(chunk, sum, twin));
    }
    if (duplicates != null && !isHeld) {
      duplicates.onSent(chunk, sum);
    }
    return twin == ChunkIndex.NONE;
  }

  private void sendZeroes() throws IOException {
    if (zeroCount > 0) {
      final int count = zeroCount;
      zeroCount = 0;
      destination.zero(table, zeroFirst, count);
    }
  }

  private void endPass() throws IOException {
    sendZeroes();
    destination.endPass(progress.passCount());
    progress.endPass();
  }

  private void verify() throws IOException {
    progress.say("the destination reads everything again");
    destination.verify(table, this::onVerifiedSum);
    progress.say("chunks that differ: " + mismatchCount);
  }

  /** What all passes were for; false when the disk goes on changing. */
  private boolean finish() throws IOException {
    final boolean isDone = settings.handOver() ? handOver() : complete();
    if (!isDone) {
      progress.say("the rest did not get through in time: another pass");
    }
    return isDone;
  }

  /** The disk changes hands. */
  private boolean handOver() throws IOException {
    final long beginNs = System.nanoTime();
    final boolean wasMoved = isMoved;
    if (wasMoved) {
      destination.prepare(table);
    } else if (!giveAway()) {
      return false;
    }
    destination.commit();
    blackoutNs = wasMoved ? -1 : System.nanoTime() - beginNs;
    return true;
  }

  /** Whether nothing changed from the last pass to the moment when the disk was given away. */
  private boolean giveAway() throws IOException {
    final OptionalLong hold = hold();
    if (hold.isEmpty()) {
      return false;
    }
    try {
      sendRest();
      destination.prepare(table);
      isMoved =
          control.moveAway(
              new BdevMigration(State.MOVED, disk.uuid(), settings.to()), hold.getAsLong());
    } finally {
      if (!isMoved) {
        control.release(hold.getAsLong());
      }
    }
    return isMoved;
  }

  /** The destination gets the rest of what the disk was at one moment; guests go on. */
  private boolean complete() throws IOException {
    final long beginNs = System.nanoTime();
    final OptionalLong hold = hold();
    if (hold.isEmpty()) {
      return false;
    }
    boolean isOneMoment;
    try {
      sendRest();
    } finally {
      // Everything was read: what becomes of it at the destination, nobody has to wait for.
      isOneMoment = control.release(hold.getAsLong());
    }
    blackoutNs = System.nanoTime() - beginNs;
    if (isOneMoment) {
      destination.prepare(table);
    }
    return isOneMoment;
  }

  /** Has everybody wait who may change the disk; nothing when that takes too long. */
  private OptionalLong hold() throws IOException {
    checkCancelled();
    try {
      return OptionalLong.of(control.hold(settings.maxBlackoutMs()));
    } catch (final RpcException e) {
      if (e.code() == RpcException.ETIMEDOUT || e.code() == RpcException.EAGAIN) {
        return OptionalLong.empty();
      }
      throw e;
    } catch (final IOException e) {
      // A hold that nobody heard of ends by itself.
      progress.say("the master cannot be asked to hold the disk: " + e.getMessage());
      LockSupport.parkNanos(MASTER_PAUSE_NS);
      return OptionalLong.empty();
    }
  }

  private void sendRest() throws IOException {
    isHeld = true;
    try {
      progress.beginPass(leftBytes());
      copyDirty();
      sendZeroes();
    } finally {
      isHeld = false;
    }
  }
}

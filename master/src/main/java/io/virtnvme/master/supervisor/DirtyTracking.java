package io.virtnvme.master.supervisor;

import io.virtnvme.ipc.relay.RelayMessageType;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.master.relay.EventLoop;
import io.virtnvme.master.rpc.BdevKind;
import io.virtnvme.master.rpc.RpcException;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/**
 * Marks of what changes on bdevs: their segments are made and removed here, slaves set them.
 * Conductor thread; the caller begins one change at a time. Stages complete on the conductor.
 */
final class DirtyTracking {
  private final SegmentDirectory segments;
  private final EventLoop loop;
  private final Executor fileThread;
  private final BdevFiles files;
  private final SlaveRequests requests;

  DirtyTracking(
      final SegmentDirectory segments,
      final EventLoop loop,
      final Executor fileThread,
      final BdevFiles files,
      final SlaveRequests requests) {
    this.segments = segments;
    this.loop = loop;
    this.fileThread = fileThread;
    this.files = files;
    this.requests = requests;
  }

  /** Marks changes from now on; the segment with the marks. */
  CompletableFuture<Path> start(final BdevEntry entry, final int grainShift) {
    checkStart(entry);
    final long diskBytes = entry.description().lengthBytes();
    return Elsewhere.run(
            fileThread,
            loop,
            () -> {
              files.makeDirty(entry.name(), diskBytes, grainShift, false);
              return null;
            })
        .thenCompose(
            made -> {
              // First, so that a slave which comes while the others are asked is told as well.
              entry.spec(entry.spec().withDirtyGrainShift(grainShift));
              // All of them: a standby takes over by itself, and must mark from its first request.
              return requests.askAll(entry, RelayMessageType.BDEV_TRACK, on -> on.putInt(1));
            })
        .thenCompose(
            answer ->
                answer.errno() == 0
                    ? CompletableFuture.completedFuture(segments.dirty(entry.name()))
                    : stop(entry)
                        .thenCompose(undone -> CompletableFuture.failedFuture(answer.failure())));
  }

  private static void checkStart(final BdevEntry entry) {
    if (entry.spec().kind() == BdevKind.NVME) {
      throw new RpcException(
          RpcException.ENOTSUP, "changes of NVMe devices cannot be marked: bdev " + entry.name());
    }
    if (entry.spec().kind() == BdevKind.NULL || !entry.isKnown()) {
      throw new RpcException(
          RpcException.ENOTSUP,
          "bdev " + entry.name() + " has no content whose changes could be marked");
    }
    if (entry.spec().dirtyGrainShift() != 0) {
      throw new RpcException(
          RpcException.EEXIST,
          "changes of bdev " + entry.name() + " are marked already; stop that first");
    }
  }

  /** Marks changes no more. The segment goes first: a client never takes old marks for new ones. */
  CompletableFuture<Void> stop(final BdevEntry entry) {
    return Elsewhere.run(
            fileThread,
            loop,
            () -> {
              files.deleteDirty(entry.name());
              return null;
            })
        .thenAccept(
            deleted -> {
              entry.spec(entry.spec().withDirtyGrainShift(0));
              tell(entry);
            });
  }

  /** Tells slaves whether to mark changes. */
  void tell(final BdevEntry entry) {
    final int on = entry.spec().dirtyGrainShift() == 0 ? 0 : 1;
    requests.tellAll(entry, RelayMessageType.BDEV_TRACK, writer -> writer.putInt(on));
  }
}

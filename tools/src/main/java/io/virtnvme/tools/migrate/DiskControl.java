package io.virtnvme.tools.migrate;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.virtnvme.ipc.segment.BadSegmentException;
import io.virtnvme.ipc.segment.DirtySegment;
import io.virtnvme.ipc.segment.SegmentDirectory;
import io.virtnvme.master.rpc.BdevMigration;
import io.virtnvme.master.rpc.BdevMigration.State;
import io.virtnvme.master.rpc.DirtySpecs;
import io.virtnvme.master.rpc.LimitSpecs;
import io.virtnvme.master.rpc.MigrationSpecs;
import io.virtnvme.master.rpc.RpcClient;
import io.virtnvme.master.rpc.RpcException;
import io.virtnvme.tools.CommandFailedException;
import io.virtnvme.tools.RunDirectory;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/**
 * One disk as its master has it. Each call has a connection of its own, so that a master that was
 * killed is a pause, too, for whatever may be asked twice. One thread.
 */
final class DiskControl {
  private static final Duration TIMEOUT = Duration.ofSeconds(30);
  private static final long PATIENCE_NS = TimeUnit.SECONDS.toNanos(30);
  private static final long RETRY_NS = TimeUnit.MILLISECONDS.toNanos(50);

  /** What a disk is. */
  record Disk(UUID uuid, int blockBytes, long lengthBytes, BdevMigration migration) {}

  private final RunDirectory directory;
  private final String name;

  DiskControl(final RunDirectory directory, final String name) {
    this.directory = directory;
    this.name = name;
  }

  String name() {
    return name;
  }

  /** The disk as it is now. */
  Disk disk() throws IOException {
    final JsonNode found = callPatiently("bdev_get_bdevs", parameters()).path(0);
    final JsonNode at = found.path("driver_specific").path("virtnvme").path("migration");
    final BdevMigration migration =
        at.isMissingNode()
            ? BdevMigration.NONE
            : new BdevMigration(
                State.valueOf(at.path("state").asText().toUpperCase(Locale.ROOT)),
                UUID.fromString(at.path("source").asText()),
                at.path("peer").asText());
    final int blockBytes = found.path("block_size").asInt();
    return new Disk(
        UUID.fromString(found.path("uuid").asText()),
        blockBytes,
        found.path("num_blocks").asLong() * blockBytes,
        migration);
  }

  /** Makes an endpoint for us, or takes the one that a killed process left; its socket. */
  Path openEndpoint(final String endpoint, final boolean readOnly) throws IOException {
    try {
      callPatiently(
          "vhost_create_blk_controller",
          JsonNodeFactory.instance
              .objectNode()
              .put("ctrlr", endpoint)
              .put("dev_name", name)
              .put("readonly", readOnly)
              .put("transport", "virtnvme"));
    } catch (final RpcException e) {
      if (!isOurs(endpoint)) {
        throw e;
      }
    }
    return directory.path().resolve("virtnvme").resolve(endpoint);
  }

  private boolean isOurs(final String endpoint) throws IOException {
    for (final JsonNode controller : callPatiently("vhost_get_controllers", null)) {
      if (controller.path("ctrlr").asText().equals(endpoint)) {
        final JsonNode block = controller.path("backend_specific").path("block");
        return block.path("bdev").asText().equals(name)
            && block.path("transport").asText().equals("virtnvme");
      }
    }
    return false;
  }

  /** Removes it, when the slave has let go of us; what cannot be removed does no harm. */
  void closeEndpoint(final String endpoint) {
    final ObjectNode params = JsonNodeFactory.instance.objectNode().put("ctrlr", endpoint);
    for (int attempt = 0; attempt < 40; attempt++) {
      try {
        call("vhost_delete_controller", params);
        return;
      } catch (final RpcException | IOException e) {
        LockSupport.parkNanos(RETRY_NS);
      }
    }
  }

  /** Where a helper keeps what the next one may use, until the disk is gone. */
  Path indexFile(final UUID uuid) {
    return directory.path().resolve("migrate").resolve(uuid + ".index");
  }

  /** Has changes marked; takes over the marks of a process that was killed. */
  DirtySegment track() throws IOException {
    final ObjectNode params = parameters().put("grain_kib", ChunkTable.CHUNK_BYTES >> 10);
    try {
      callPatiently(DirtySpecs.START, params);
    } catch (final RpcException e) {
      if (e.code() != RpcException.EEXIST) {
        throw e;
      }
    }
    final SegmentDirectory segments = directory.segments();
    final DirtySegment dirty;
    try {
      dirty = DirtySegment.attach(segments.dirty(name));
    } catch (final BadSegmentException e) {
      throw new CommandFailedException(
          "changes of "
              + name
              + " cannot be followed; is it being moved already? "
              + e.getMessage(),
          e);
    }
    if (dirty.grainBytes() != ChunkTable.CHUNK_BYTES) {
      dirty.close();
      throw new CommandFailedException(
          "changes of "
              + name
              + " are marked with another grain; stop that with "
              + DirtySpecs.STOP
              + " first");
    }
    return dirty;
  }

  void untrack() {
    try {
      call(DirtySpecs.STOP, parameters());
    } catch (final RpcException | IOException e) {
      // The next attempt takes the marks over, and marking costs next to nothing.
      return;
    }
  }

  /**
   * Limits writes for a moment.
   *
   * @param mibPerSecond 0 for no limit
   * @return whether the master has heard it
   */
  boolean throttle(final long mibPerSecond, final int limitMs) {
    try {
      call(
          LimitSpecs.THROTTLE,
          parameters().put("w_mbytes_per_sec", mibPerSecond).put("limit_ms", limitMs));
      return true;
    } catch (final RpcException | IOException e) {
      // Killed, perhaps: the next one has no throttle, and will hear of it.
      return false;
    }
  }

  /** Has everybody wait who may change the disk; number of the hold. Not asked twice. */
  long hold(final int limitMs) throws IOException {
    return call(MigrationSpecs.HOLD, parameters().put("limit_ms", limitMs)).path("hold").asLong();
  }

  /**
   * Ends it; it would end by itself, too.
   *
   * @return whether it is certain that nothing has changed since it began
   */
  boolean release(final long hold) {
    try {
      call(MigrationSpecs.RELEASE, parameters().put("hold", hold));
      return true;
    } catch (final RpcException | IOException e) {
      // Ended, or it will.
      return false;
    }
  }

  /** Puts on record where the disk stands, whoever is killed meanwhile. */
  void migration(final BdevMigration migration) throws IOException {
    callPatiently(MigrationSpecs.SET, MigrationSpecs.toParams(name, migration));
  }

  /**
   * The disk is another host's from now on, if nothing has changed since it was held.
   *
   * @return false when it stays here
   */
  boolean moveAway(final BdevMigration migration, final long hold) throws IOException {
    final ObjectNode params = MigrationSpecs.toParams(name, migration);
    try {
      call(MigrationSpecs.SET, params.put("hold", hold));
      return true;
    } catch (final RpcException e) {
      if (e.code() == RpcException.ETIMEDOUT || e.code() == RpcException.EAGAIN) {
        return false;
      }
      // Carried out, perhaps, and perhaps not on record: take it back while nobody counts on it.
      migration(BdevMigration.NONE);
      throw e;
    } catch (final IOException e) {
      // The master died with it. What the next one has read is on record if it is recorded again.
      if (disk().migration().state() != State.MOVED) {
        return false;
      }
      migration(migration);
      return true;
    }
  }

  private ObjectNode parameters() {
    return JsonNodeFactory.instance.objectNode().put("name", name);
  }

  private JsonNode call(final String method, final ObjectNode params) throws IOException {
    try (RpcClient client = directory.connect(TIMEOUT)) {
      return client.call(method, params);
    }
  }

  private JsonNode callPatiently(final String method, final ObjectNode params) throws IOException {
    final long endNs = System.nanoTime() + PATIENCE_NS;
    while (true) {
      try {
        return call(method, params);
      } catch (final IOException e) {
        if (System.nanoTime() - endNs > 0) {
          throw e;
        }
        LockSupport.parkNanos(RETRY_NS);
      }
    }
  }
}

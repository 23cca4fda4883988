package io.virtnvme.master.rpc;

import io.virtnvme.ipc.relay.BdevHold;
import java.util.List;
import java.util.UUID;

/**
 * Where a bdev stands between two hosts; durable.
 *
 * @param state who may use it
 * @param source uuid of the disk at the host that it comes from; its own for {@link State#MOVED}
 * @param peer the other host, as the operator named it; for people
 */
public record BdevMigration(State state, UUID source, String peer) {
  /** A bdev that has always been here. */
  public static final BdevMigration NONE = new BdevMigration(State.NONE, new UUID(0, 0), "");

  /** States of a bdev, of either host. */
  public enum State {
    NONE,
    /** Destination: incomplete, guests wait. */
    RECEIVING,
    /** Destination: complete and durable, guests wait; the source says whether it is ours. */
    PREPARED,
    /** Destination: ours for good. */
    OWNED,
    /** Source: another host's for good, nobody may change it here. */
    MOVED
  }

  /** The steps that lead a new bdev to where this one stands, this one last; none for a new one. */
  public List<BdevMigration> steps() {
    return switch (state) {
      case NONE -> List.of();
      case RECEIVING, MOVED -> List.of(this);
      case PREPARED -> List.of(with(State.RECEIVING), this);
      case OWNED -> List.of(with(State.RECEIVING), with(State.PREPARED), this);
    };
  }

  private BdevMigration with(final State newState) {
    return new BdevMigration(newState, source, peer);
  }

  /** What that means for requests. */
  public BdevHold hold() {
    return switch (state) {
      case NONE, OWNED -> BdevHold.NONE;
      case RECEIVING, PREPARED -> new BdevHold(BdevHold.Who.GUESTS, BdevHold.UNLIMITED);
      case MOVED -> new BdevHold(BdevHold.Who.WRITERS, BdevHold.UNLIMITED);
    };
  }
}

package io.virtnvme.slave.session;

import io.virtnvme.ipc.vhostuser.VhostUserMessage;
import io.virtnvme.ipc.vhostuser.VhostUserRequest;
import io.virtnvme.ipc.vhostuser.VringAddress;
import io.virtnvme.ipc.vhostuser.VringState;

/**
 * The meaning of the messages about one ring. Like {@link MessageHandler} a function of state and
 * message. Control thread.
 *
 * <p>A ring is complete when it is enabled and has size, addresses and kick, in whatever order they
 * came; it runs while it is complete and memory covers it. Of a complete ring neither size nor base
 * nor place may change: its journal belongs to them.
 */
final class RingMessages {
  private static final int SPLIT_BASE_MAX = 0xFFFF;

  private final int queueCount;

  RingMessages(final int queueCount) {
    this.queueCount = queueCount;
  }

  Change handle(
      final VhostUserRequest request,
      final SessionState state,
      final byte[] message,
      final int[] fds) {
    return switch (request) {
      case SET_VRING_NUM -> setSize(state, message, fds);
      case SET_VRING_ADDR -> setAddresses(state, message, fds);
      case SET_VRING_BASE -> setBase(state, message, fds);
      case GET_VRING_BASE -> getBase(state, message, fds);
      case SET_VRING_ENABLE -> setEnabled(state, message, fds);
      case SET_VRING_KICK -> setKick(state, message, fds);
      case SET_VRING_CALL -> setCall(state, message, fds);
      case SET_VRING_ERR -> setError(state, message, fds);
      default -> throw new IllegalArgumentException("not about one ring: request=" + request);
    };
  }

  private int index(final int index) {
    if (index < 0 || index >= queueCount) {
      throw new SessionException(
          "no such ring: index=" + Integer.toUnsignedString(index) + " max=" + (queueCount - 1));
    }
    return index;
  }

  private int stateIndex(final byte[] message, final int[] fds) {
    MessageHandler.requireShape(message, fds, VringState.LENGTH, 0);
    return index(VringState.index(message));
  }

  /**
   * Index of the ring that a descriptor is for; the message has one descriptor unless it says that
   * it has none.
   */
  private int fdIndex(final byte[] message, final int[] fds) {
    MessageHandler.requireShape(message, fds, Long.BYTES, fds.length);
    final long value = VhostUserMessage.u64(message);
    if ((value & ~(VringState.FD_INDEX_MASK | VringState.NO_FD_FLAG)) != 0) {
      throw new SessionException("unknown bits: value=0x" + Long.toHexString(value));
    }
    MessageHandler.requireShape(
        message, fds, Long.BYTES, (value & VringState.NO_FD_FLAG) == 0 ? 1 : 0);
    return index((int) (value & VringState.FD_INDEX_MASK));
  }

  /**
   * A ring needs a journal before it runs. One of our own is made with the first message about a
   * ring, so that the record has it before the message comes that lets the ring run: a successor
   * which handles that message again then finds what the dead slave noted.
   */
  private Change withJournal(final Change change) {
    return change.state().inflight() == null
        ? change.withNewInflight(InflightState.forOwn(queueCount), false)
        : change;
  }

  private static boolean hasOwnJournal(final SessionState state) {
    return state.inflight() != null && state.inflight().own();
  }

  private Change setSize(final SessionState state, final byte[] message, final int[] fds) {
    final int index = stateIndex(message, fds);
    final int size = VringState.num(message);
    final RingState ring = state.ring(index);
    final boolean packed = SessionRules.isPacked(state.features());
    if (size < 1 || size > SessionRules.QUEUE_SIZE_MAX) {
      throw new SessionException(
          "ring "
              + index
              + ": size="
              + Integer.toUnsignedString(size)
              + ", allowed 1.."
              + SessionRules.QUEUE_SIZE_MAX);
    }
    if (!packed && Integer.bitCount(size) != 1) {
      throw new SessionException(
          "ring " + index + ": the size of a split ring is a power of two: size=" + size);
    }
    if (size == ring.size()) {
      return withJournal(Change.to(state).checking(index));
    }
    requireStopped(index, ring, "size", size);
    final Change change =
        withJournal(Change.to(state.withRing(index, ring.withSize(size))).checking(index));
    return ring.size() != 0 && hasOwnJournal(state) ? change.resetting(index) : change;
  }

  private static void requireStopped(
      final int index, final RingState ring, final String what, final int value) {
    if (ring.isComplete()) {
      throw new SessionException(
          "ring "
              + index
              + " runs, its "
              + what
              + " cannot change to "
              + Integer.toUnsignedString(value)
              + ": stop it by GET_VRING_BASE first");
    }
  }

  private Change setBase(final SessionState state, final byte[] message, final int[] fds) {
    final int index = stateIndex(message, fds);
    final int base = VringState.num(message);
    final RingState ring = state.ring(index);
    if (!SessionRules.isPacked(state.features()) && (base < 0 || base > SPLIT_BASE_MAX)) {
      throw new SessionException(
          "ring "
              + index
              + ": base="
              + Integer.toUnsignedString(base)
              + ", allowed 0.."
              + SPLIT_BASE_MAX);
    }
    requireStopped(index, ring, "base", base);
    final Change change = withJournal(Change.to(state.withRing(index, ring.withBase(base))));
    return hasOwnJournal(state) ? change.resetting(index) : change;
  }

  private Change setAddresses(final SessionState state, final byte[] message, final int[] fds) {
    MessageHandler.requireShape(message, fds, VringAddress.LENGTH, 0);
    final int index = index(VringAddress.index(message));
    final RingState ring = state.ring(index);
    final RingState.Addresses addresses =
        new RingState.Addresses(
            VringAddress.descriptor(message),
            VringAddress.used(message),
            VringAddress.available(message),
            (VringAddress.flags(message) & VringAddress.LOG_FLAG) != 0,
            VringAddress.log(message));
    if (ring.isComplete() && !ring.addresses().isSamePlace(addresses)) {
      throw new SessionException(
          "ring " + index + " runs, it cannot move: stop it by GET_VRING_BASE first");
    }
    return withJournal(Change.to(state.withRing(index, ring.withAddresses(addresses))))
        .locating(index)
        .checking(index);
  }

  private Change getBase(final SessionState state, final byte[] message, final int[] fds) {
    final int index = stateIndex(message, fds);
    return Change.to(state.withRing(index, state.ring(index).withKick(RingState.Kick.NONE)))
        .telling(index);
  }

  private Change setEnabled(final SessionState state, final byte[] message, final int[] fds) {
    final int index = stateIndex(message, fds);
    final int on = VringState.num(message);
    if (on != 0 && on != 1) {
      throw new SessionException(
          "ring " + index + ": SET_VRING_ENABLE takes 0 or 1: num=" + Integer.toUnsignedString(on));
    }
    final Change change = Change.to(state.withRing(index, state.ring(index).withEnabled(on == 1)));
    return on == 1 ? withJournal(change).checking(index) : change;
  }

  private Change setKick(final SessionState state, final byte[] message, final int[] fds) {
    final int index = fdIndex(message, fds);
    final RingState ring = state.ring(index);
    if (fds.length == 0) {
      return withJournal(Change.to(state.withRing(index, ring.withKick(RingState.Kick.POLLED))))
          .checking(index);
    }
    FdKinds.requireEvent(fds[0], FdSlots.name(FdSlots.KICK + index));
    return withJournal(Change.to(state.withRing(index, ring.withKick(RingState.Kick.DESCRIPTOR))))
        .withSlots(FdSlots.KICK + index)
        .checking(index);
  }

  private Change setCall(final SessionState state, final byte[] message, final int[] fds) {
    final int index = fdIndex(message, fds);
    final RingState ring = state.ring(index);
    if (fds.length == 0) {
      return Change.to(state.withRing(index, ring.withCall(false)));
    }
    FdKinds.requireEvent(fds[0], FdSlots.name(FdSlots.CALL + index));
    return Change.to(state.withRing(index, ring.withCall(true))).withSlots(FdSlots.CALL + index);
  }

  private Change setError(final SessionState state, final byte[] message, final int[] fds) {
    final int index = fdIndex(message, fds);
    final RingState ring = state.ring(index);
    if (fds.length == 0) {
      return Change.to(state.withRing(index, ring.withError(false)));
    }
    FdKinds.requireEvent(fds[0], FdSlots.name(FdSlots.ERROR + index));
    return Change.to(state.withRing(index, ring.withError(true))).withSlots(FdSlots.ERROR + index);
  }
}

package io.virtnvme.slave.vfio;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.vfiouser.IrqInfo;
import io.virtnvme.ipc.vfiouser.IrqSet;
import io.virtnvme.ipc.vfiouser.PciIrq;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.List;

/**
 * DEVICE_GET_IRQ_INFO and DEVICE_SET_IRQS. The device has MSI-X vectors, an error and a request
 * interrupt; no pin and no MSI. None can be masked by a message: a front-end that masks a vector
 * gives another eventfd for it. Control thread.
 */
final class IrqMessages {
  private final int vectorCount;

  IrqMessages(final int vectorCount) {
    this.vectorCount = vectorCount;
  }

  private int count(final int index) {
    return switch (index) {
      case PciIrq.MSIX -> vectorCount;
      case PciIrq.ERR, PciIrq.REQ -> 1;
      default -> 0;
    };
  }

  VfioChange info(final VfioState state, final byte[] message) {
    VfioMessages.requirePayload(message, IrqInfo.LENGTH);
    VfioMessages.requireArgsz(IrqInfo.argsz(message), IrqInfo.LENGTH);
    final int index = IrqInfo.index(message);
    requireIndex(index);
    final int count = count(index);
    final byte[] reply = VfioUserMessage.reply(message, IrqInfo.LENGTH);
    IrqInfo.put(reply, IrqInfo.LENGTH, count > 0 ? IrqInfo.EVENTFD_FLAG : 0, index, count);
    return new VfioChange(state, reply);
  }

  private static void requireIndex(final int index) {
    if (index < 0 || index >= PciIrq.COUNT) {
      throw new RefusedException(
          Errno.EINVAL,
          "no interrupts of kind " + Integer.toUnsignedString(index) + " of " + PciIrq.COUNT);
    }
  }

  VfioChange set(final VfioState state, final byte[] message, final int[] fds) {
    VfioMessages.requirePayload(message, IrqSet.LENGTH);
    VfioMessages.requireArgsz(IrqSet.argsz(message), IrqSet.LENGTH);
    final int index = IrqSet.index(message);
    requireIndex(index);
    final int flags = IrqSet.flags(message);
    final int data = flags & IrqSet.DATA_MASK;
    final int start = IrqSet.start(message);
    final int count = IrqSet.count(message);
    requireFlags(flags);
    if (fds.length > 0 && data != IrqSet.DATA_EVENTFD_FLAG) {
      throw new RefusedException(Errno.EINVAL, "descriptors without DATA_EVENTFD: " + fds.length);
    }
    final byte[] reply = VfioUserMessage.reply(message, 0);
    final boolean isTrigger = (flags & IrqSet.ACTION_MASK) == IrqSet.ACTION_TRIGGER_FLAG;
    if (count == 0 && start == 0 && data == IrqSet.DATA_NONE_FLAG && isTrigger) {
      return new VfioChange(withEvents(state, index, 0, count(index), false), reply);
    }
    if (count <= 0 || start < 0 || start > count(index) - count) {
      throw new RefusedException(
          Errno.EINVAL,
          "interrupts out of range: start="
              + Integer.toUnsignedString(start)
              + " count="
              + Integer.toUnsignedString(count)
              + " of "
              + count(index));
    }
    if (!isTrigger) {
      throw new RefusedException(Errno.EINVAL, "these interrupts cannot be masked by a message");
    }
    return data == IrqSet.DATA_EVENTFD_FLAG
        ? events(state, reply, index, start, count, fds)
        : new VfioChange(state, reply).triggering(triggered(state, message, index, start, count));
  }

  private static void requireFlags(final int flags) {
    final int data = flags & IrqSet.DATA_MASK;
    final int action = flags & IrqSet.ACTION_MASK;
    if (Integer.bitCount(data) != 1
        || Integer.bitCount(action) != 1
        || (flags & ~(IrqSet.DATA_MASK | IrqSet.ACTION_MASK)) != 0) {
      throw new RefusedException(
          Errno.EINVAL,
          "flags=0x"
              + Integer.toHexString(flags)
              + ": one kind of data and one action belong there");
    }
  }

  private static VfioChange events(
      final VfioState state,
      final byte[] reply,
      final int index,
      final int start,
      final int count,
      final int[] fds) {
    if (fds.length != 0 && fds.length != count) {
      throw new RefusedException(
          Errno.EINVAL, "eventfds=" + fds.length + " for " + count + " interrupts; all or none");
    }
    final int[] slots = new int[fds.length];
    for (int i = 0; i < fds.length; i++) {
      slots[i] = slot(index, start + i);
    }
    return new VfioChange(withEvents(state, index, start, count, fds.length > 0), reply)
        .withSlots(slots);
  }

  private static VfioState withEvents(
      final VfioState state,
      final int index,
      final int start,
      final int count,
      final boolean present) {
    switch (index) {
      case PciIrq.MSIX -> {
        final BitSet vectors = (BitSet) state.vectors().clone();
        vectors.set(start, start + count, present);
        return state.withVectors(vectors);
      }
      case PciIrq.ERR -> {
        return state.withErr(present);
      }
      case PciIrq.REQ -> {
        return state.withReq(present);
      }
      default -> {
        // There are none: to disable them is done at once.
        return state;
      }
    }
  }

  private static int slot(final int index, final int vector) {
    return switch (index) {
      case PciIrq.MSIX -> VfioSlots.VECTOR + vector;
      case PciIrq.ERR -> VfioSlots.ERR;
      default -> VfioSlots.REQ;
    };
  }

  /** The slots to signal: those of the range that are wanted and have an eventfd. */
  private static int[] triggered(
      final VfioState state,
      final byte[] message,
      final int index,
      final int start,
      final int count) {
    final boolean some = (IrqSet.flags(message) & IrqSet.DATA_BOOL_FLAG) != 0;
    if (some) {
      VfioMessages.requirePayload(message, IrqSet.LENGTH + count);
    }
    final BitSet held = state.slots();
    final List<Integer> slots = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      final int slot = slot(index, start + i);
      if (held.get(slot) && (!some || IrqSet.isWanted(message, i))) {
        slots.add(slot);
      }
    }
    return slots.stream().mapToInt(Integer::intValue).toArray();
  }
}

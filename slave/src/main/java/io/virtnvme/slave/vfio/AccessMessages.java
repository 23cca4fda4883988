package io.virtnvme.slave.vfio;

import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.vfiouser.PciRegion;
import io.virtnvme.ipc.vfiouser.RegionAccess;
import io.virtnvme.ipc.vfiouser.RegionWrites;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import java.util.ArrayList;
import java.util.List;

/**
 * REGION_READ, REGION_WRITE, REGION_WRITE_MULTI and DEVICE_RESET. BAR4 (MSI-X table and pending
 * bits) reads zero and forgets what is written: the front-end keeps the table, as VFIO has it, and
 * nothing is ever pending, since an eventfd takes every interrupt. Control thread.
 */
final class AccessMessages {
  private final int vectorCount;

  AccessMessages(final int vectorCount) {
    this.vectorCount = vectorCount;
  }

  /** Throws {@link RefusedException} unless a range lies in a region of the device. */
  private static void requireRange(final int region, final long offset, final long count) {
    final int length = region < 0 ? 0 : VfioMessages.regionLength(region);
    if (offset < 0 || offset > length || count > length - offset) {
      throw new RefusedException(
          Errno.EINVAL,
          "access beyond region "
              + Integer.toUnsignedString(region)
              + ": offset="
              + Long.toUnsignedString(offset)
              + " count="
              + count
              + " length="
              + length);
    }
  }

  private static int requireCount(final VfioState state, final byte[] message) {
    final long count = Integer.toUnsignedLong(RegionAccess.count(message));
    if (count > state.maxDataXferSize()) {
      throw new RefusedException(
          Errno.EINVAL, "count=" + count + ", agreed were at most " + state.maxDataXferSize());
    }
    requireRange(RegionAccess.region(message), RegionAccess.offset(message), count);
    return (int) count;
  }

  VfioChange read(final VfioState state, final byte[] message) {
    VfioMessages.requirePayload(message, RegionAccess.LENGTH);
    final int count = requireCount(state, message);
    final int region = RegionAccess.region(message);
    final int offset = (int) RegionAccess.offset(message);
    final byte[] reply = VfioUserMessage.reply(message, RegionAccess.LENGTH + count);
    RegionAccess.put(reply, offset, region, count);
    final VfioChange change = new VfioChange(state, reply);
    if (region == PciRegion.CONFIG) {
      state.config().read(offset, reply, RegionAccess.DATA_OFFSET, count);
    } else if (region == PciRegion.BAR0) {
      change.reading(offset, count, RegionAccess.DATA_OFFSET);
    }
    return change;
  }

  VfioChange write(final VfioState state, final byte[] message) {
    VfioMessages.requirePayload(message, RegionAccess.LENGTH);
    final int count = requireCount(state, message);
    if (VfioUserMessage.payloadLength(message) != RegionAccess.LENGTH + count) {
      throw new RefusedException(
          Errno.EINVAL,
          "count="
              + count
              + " but data bytes="
              + (VfioUserMessage.payloadLength(message) - RegionAccess.LENGTH));
    }
    final int region = RegionAccess.region(message);
    final long offset = RegionAccess.offset(message);
    final byte[] reply = VfioUserMessage.reply(message, RegionAccess.LENGTH);
    RegionAccess.put(reply, offset, region, count);
    final Writes writes = new Writes(state);
    writes.add(region, (int) offset, message, RegionAccess.DATA_OFFSET, count);
    return writes.change(reply);
  }

  VfioChange writeMulti(final VfioState state, final byte[] message) {
    VfioMessages.requirePayload(message, RegionWrites.WRITES_OFFSET);
    final long writeCount = RegionWrites.writeCount(message);
    final int room =
        (VfioUserMessage.payloadLength(message) - RegionWrites.WRITES_OFFSET)
            / RegionWrites.WRITE_LENGTH;
    if (writeCount < 0 || writeCount > room) {
      throw new RefusedException(
          Errno.EINVAL,
          "writes=" + Long.toUnsignedString(writeCount) + " in a message with room for " + room);
    }
    for (int i = 0; i < writeCount; i++) {
      final long count = Integer.toUnsignedLong(RegionWrites.count(message, i));
      if (count > Long.BYTES) {
        throw new RefusedException(
            Errno.EINVAL, "write " + i + " of " + count + " bytes, at most 8");
      }
      requireRange(RegionWrites.region(message, i), RegionWrites.offset(message, i), count);
    }
    final Writes writes = new Writes(state);
    for (int i = 0; i < writeCount; i++) {
      writes.add(
          RegionWrites.region(message, i),
          (int) RegionWrites.offset(message, i),
          message,
          RegionWrites.dataOffset(i),
          RegionWrites.count(message, i));
    }
    final byte[] reply = VfioUserMessage.reply(message, RegionWrites.REPLY_LENGTH);
    RegionWrites.putWriteCount(reply, writeCount);
    return writes.change(reply);
  }

  VfioChange reset(final VfioState state, final byte[] message) {
    return new VfioChange(
            state.withConfig(PciConfigSpace.initial(vectorCount)),
            VfioUserMessage.reply(message, 0))
        .resetting(true);
  }

  /** Writes of one message, one after the other. */
  private final class Writes {
    private final VfioState before;
    private final List<VfioChange.RegisterWrite> registers = new ArrayList<>();
    private PciConfigSpace config;
    private boolean reset;

    Writes(final VfioState before) {
      this.before = before;
      this.config = before.config();
    }

    void add(final int region, final int offset, final byte[] from, final int at, final int count) {
      if (region == PciRegion.CONFIG) {
        if (PciConfigSpace.asksForReset(offset, from, at, count)) {
          // As the function is after its reset; what else the write says goes with it.
          reset = true;
          registers.clear();
          config = PciConfigSpace.initial(vectorCount);
        } else {
          config = config.write(offset, from, at, count);
        }
      } else if (region == PciRegion.BAR0) {
        addRegisters(offset, from, at, count);
      }
    }

    /** In pieces of eight bytes at most, which do not cross a multiple of eight. */
    private void addRegisters(final int offset, final byte[] from, final int at, final int count) {
      int done = 0;
      while (done < count) {
        final int width = Math.min(Long.BYTES - ((offset + done) & 7), count - done);
        long value = 0;
        for (int i = 0; i < width; i++) {
          value |= (from[at + done + i] & 0xFFL) << (8 * i);
        }
        registers.add(new VfioChange.RegisterWrite(offset + done, width, value));
        done += width;
      }
    }

    VfioChange change(final byte[] reply) {
      final VfioChange change = new VfioChange(before.withConfig(config), reply).resetting(reset);
      change.writes().addAll(registers);
      return change;
    }
  }
}

package io.virtnvme.slave.vfio;

import java.util.List;

/** Carries out what a message does with the controller's registers. Control thread. */
final class RegisterAccesses {
  private RegisterAccesses() {}

  /** Writes one after the other, each when the one before is done; then goes on. */
  static void write(
      final NvmeDevice device,
      final List<VfioChange.RegisterWrite> writes,
      final Runnable whenDone) {
    if (writes.isEmpty()) {
      whenDone.run();
      return;
    }
    final VfioChange.RegisterWrite first = writes.get(0);
    final List<VfioChange.RegisterWrite> others = writes.subList(1, writes.size());
    device.writeRegister(
        first.offset(), first.width(), first.value(), () -> write(device, others, whenDone));
  }

  /** Puts what is read into the reply, at most one register of 8 bytes at a time. */
  static void read(final NvmeDevice device, final VfioChange change) {
    int done = 0;
    while (done < change.readCount()) {
      final int offset = change.readOffset() + done;
      final int width = Math.min(Long.BYTES - (offset & 7), change.readCount() - done);
      final long value = device.readRegister(offset, width);
      for (int i = 0; i < width; i++) {
        change.reply()[change.readTo() + done + i] = (byte) (value >>> (8 * i));
      }
      done += width;
    }
  }
}

package io.virtnvme.slave.nvme;

import static io.virtnvme.slave.nvme.ControllerAreaDescriptor.COMMIT_OFFSET;
import static io.virtnvme.slave.nvme.ControllerAreaDescriptor.GENERATION_OFFSET;
import static io.virtnvme.slave.nvme.ControllerAreaDescriptor.IMAGE_CHECKSUM_OFFSET;
import static io.virtnvme.slave.nvme.ControllerAreaDescriptor.IMAGE_HEADER_LENGTH;
import static io.virtnvme.slave.nvme.ControllerAreaDescriptor.IMAGE_LENGTH_OFFSET;
import static io.virtnvme.slave.nvme.ControllerAreaDescriptor.IMAGE_NUMBER_OFFSET;
import static io.virtnvme.slave.nvme.ControllerAreaDescriptor.MAGIC;
import static io.virtnvme.slave.nvme.ControllerAreaDescriptor.MAGIC_OFFSET;
import static io.virtnvme.slave.nvme.ControllerAreaDescriptor.QUEUE_COUNT;
import static io.virtnvme.slave.nvme.ControllerAreaDescriptor.QUEUE_COUNT_OFFSET;
import static io.virtnvme.slave.nvme.ControllerAreaDescriptor.VERSION;
import static io.virtnvme.slave.nvme.ControllerAreaDescriptor.VERSION_OFFSET;

import io.virtnvme.ipc.memory.Mem;
import java.util.zip.CRC32C;

/**
 * One mapped controller area. Made and read on the control thread; images are stored by the reactor
 * of the admin queue, one writer at a time.
 */
public final class ControllerArea {
  private static final int READ_ATTEMPTS = 1000;
  private static final long NUMBER_MASK = 0xFFFF_FFFFL;

  private final long address;

  /**
   * Works on a mapped area; reads and stores nothing yet.
   *
   * @param address host address, aligned to a page; {@link ControllerAreaDescriptor#LENGTH} bytes
   *     are mapped
   */
  public ControllerArea(final long address) {
    this.address = address;
  }

  /**
   * Makes a zeroed area valid, before anybody else knows of it.
   *
   * @param generation names the session that it belongs to
   */
  public void format(final long generation) {
    Mem.putInt(address + VERSION_OFFSET, VERSION);
    Mem.putInt(address + QUEUE_COUNT_OFFSET, QUEUE_COUNT);
    Mem.putLong(address + GENERATION_OFFSET, generation);
    Mem.putLongRelease(address + MAGIC_OFFSET, MAGIC);
  }

  /**
   * Checks the header.
   *
   * @return null if this build can go on with it, else a sentence with the values
   */
  public String validate(final long generation) {
    final long magic = Mem.getLong(address + MAGIC_OFFSET);
    final int version = Mem.getInt(address + VERSION_OFFSET);
    final int queueCount = Mem.getInt(address + QUEUE_COUNT_OFFSET);
    final long actual = Mem.getLong(address + GENERATION_OFFSET);
    return magic == MAGIC && version == VERSION && queueCount == QUEUE_COUNT && actual == generation
        ? null
        : "no controller area of this session and version: magic=0x"
            + Long.toHexString(magic)
            + " version="
            + version
            + " (known: "
            + VERSION
            + ") queues="
            + queueCount
            + " (expected: "
            + QUEUE_COUNT
            + ") generation="
            + actual
            + " (expected: "
            + generation
            + ")";
  }

  private long commitWord() {
    return Mem.getLongAcquire(address + COMMIT_OFFSET);
  }

  /** Number of the image that counts; 0 for none. */
  public int imageNumber() {
    return (int) (commitWord() & NUMBER_MASK);
  }

  /** Changes with each image that says something else about queues. */
  public int queueTableVersion() {
    return (int) (commitWord() >>> Integer.SIZE);
  }

  /**
   * A copy of the image that counts, or null when there is none. May run while one is stored: reads
   * again when the word has moved on meanwhile.
   *
   * @throws IllegalStateException when it is damaged
   */
  public byte[] image() {
    for (int i = 0; i < READ_ATTEMPTS; i++) {
      final long before = commitWord();
      final int number = (int) (before & NUMBER_MASK);
      if (number == 0) {
        return null;
      }
      final byte[] image = read(number);
      Mem.fullFence();
      if (commitWord() == before) {
        if (image == null) {
          throw new IllegalStateException(
              "controller image is damaged: number=" + number + "; reset the controller");
        }
        return image;
      }
    }
    throw new IllegalStateException("controller image changes without end");
  }

  private byte[] read(final int number) {
    final long slot = address + ControllerAreaDescriptor.imageSlotOffset(number);
    final int lengthBytes = Mem.getInt(slot + IMAGE_LENGTH_OFFSET);
    if (Mem.getInt(slot + IMAGE_NUMBER_OFFSET) != number
        || lengthBytes < 0
        || lengthBytes > ControllerImage.LENGTH_MAX) {
      return null;
    }
    final byte[] image = new byte[lengthBytes];
    Mem.copyOut(slot + IMAGE_HEADER_LENGTH, image, 0, lengthBytes);
    return checksum(image) == Mem.getInt(slot + IMAGE_CHECKSUM_OFFSET) ? image : null;
  }

  private static int checksum(final byte[] image) {
    final CRC32C crc = new CRC32C();
    crc.update(image);
    return (int) crc.getValue();
  }

  /**
   * Stores an image in the slot that does not count, and makes it the one that counts. A death
   * before the last store leaves the image before. Reactor of the admin queue only.
   *
   * @param isQueueTableChanged whether it says something else about queues than the one before
   */
  public void store(final byte[] image, final boolean isQueueTableChanged) {
    if (image.length > ControllerImage.LENGTH_MAX) {
      throw new IllegalArgumentException(
          "controller image too long: bytes="
              + image.length
              + " max="
              + ControllerImage.LENGTH_MAX);
    }
    final long before = commitWord();
    final int number = nextNumber((int) (before & NUMBER_MASK));
    final long slot = address + ControllerAreaDescriptor.imageSlotOffset(number);
    Mem.copyIn(image, 0, slot + IMAGE_HEADER_LENGTH, image.length);
    Mem.putInt(slot + IMAGE_LENGTH_OFFSET, image.length);
    Mem.putInt(slot + IMAGE_CHECKSUM_OFFSET, checksum(image));
    Mem.putInt(slot + IMAGE_NUMBER_OFFSET, number);
    final long table = (before >>> Integer.SIZE) + (isQueueTableChanged ? 1 : 0);
    // Commit.
    Mem.putLongRelease(address + COMMIT_OFFSET, (table << Integer.SIZE) | (number & NUMBER_MASK));
  }

  /** Never 0, which means none; and always in the other slot. */
  private static int nextNumber(final int number) {
    return number == -1 ? 2 : number + 1;
  }

  long countersAddress(final int queueId) {
    return address + ControllerAreaDescriptor.countersOffset(queueId);
  }

  long cqJournalAddress(final int queueId) {
    return address + ControllerAreaDescriptor.cqJournalOffset(queueId);
  }

  long sqJournalAddress(final int queueId) {
    return address + ControllerAreaDescriptor.sqJournalOffset(queueId);
  }
}

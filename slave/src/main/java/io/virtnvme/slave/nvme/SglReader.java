package io.virtnvme.slave.nvme;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.nvme.SglDescriptor;
import io.virtnvme.ipc.nvme.Status;
import io.virtnvme.slave.virtqueue.GuestMemory;

/**
 * Reads scatter gather lists (NVM Express base specification 2.0, 4.1.2): data blocks, bit buckets,
 * segments and last segments. Each descriptor is read once. One reactor thread; no allocation.
 *
 * <p>A list may be longer than the data; what is behind its end is checked for its shape only.
 */
final class SglReader {
  /** Descriptors of one command at most: a list that leads to itself ends somewhere. */
  static final int DESCRIPTORS_MAX = 1024;

  private static final int LENGTH = SglDescriptor.DESCRIPTOR_LENGTH;

  private final long trash;
  private final int trashBytes;
  private GuestMemory lists;
  private GuestMemory data;
  private IovecList out;
  private long leftBytes;
  private int leftDescriptors;
  private long nextAddress;
  private long nextWord;
  private boolean isToGuest;

  /**
   * Makes a reader.
   *
   * @param trash host address of a buffer for what the guest does not want
   * @param trashBytes its length
   */
  SglReader(final long trash, final int trashBytes) {
    this.trash = trash;
    this.trashBytes = trashBytes;
  }

  /**
   * Adds the pieces of a transfer to a list.
   *
   * @param listMemory where segments may lie
   * @param dataMemory where data may lie
   * @param address first half of the command's descriptor
   * @param word second half of it
   * @param toGuest whether the data goes to the guest
   * @param lengthBytes at least 1
   * @return {@link Status#SUCCESS}, or the status that the command ends with, or {@link
   *     IovecList#FULL}
   */
  int read(
      final GuestMemory listMemory,
      final GuestMemory dataMemory,
      final boolean toGuest,
      final long address,
      final long word,
      final long lengthBytes,
      final IovecList list) {
    lists = listMemory;
    data = dataMemory;
    out = list;
    isToGuest = toGuest;
    leftBytes = lengthBytes;
    leftDescriptors = DESCRIPTORS_MAX;
    if (SglDescriptor.subtype(word) != SglDescriptor.SUBTYPE_ADDRESS) {
      return Status.INVALID_SGL_TYPE;
    }
    int status =
        switch (SglDescriptor.type(word)) {
          case SglDescriptor.TYPE_DATA_BLOCK -> block(address, word);
          case SglDescriptor.TYPE_BIT_BUCKET -> bucket(word);
          case SglDescriptor.TYPE_SEGMENT, SglDescriptor.TYPE_LAST_SEGMENT ->
              segments(address, word);
          default -> Status.INVALID_SGL_TYPE;
        };
    if (status == Status.SUCCESS && leftBytes > 0) {
      status = Status.INVALID_SGL_LENGTH;
    }
    return status;
  }

  private int segments(final long firstAddress, final long firstWord) {
    nextAddress = firstAddress;
    nextWord = firstWord;
    while (true) {
      final boolean last = SglDescriptor.type(nextWord) == SglDescriptor.TYPE_LAST_SEGMENT;
      final int status = segment(nextAddress, SglDescriptor.lengthBytes(nextWord), last);
      if (status != Status.SUCCESS || last) {
        return status;
      }
    }
  }

  private int segment(final long address, final long bytes, final boolean last) {
    if (bytes == 0 || bytes % LENGTH != 0) {
      return Status.INVALID_SGL_SEGMENT;
    }
    final long count = bytes / LENGTH;
    if (count > leftDescriptors) {
      return Status.INVALID_SGL_COUNT;
    }
    leftDescriptors -= (int) count;
    for (int i = 0; i < count; i++) {
      final long host = lists.translate(address + (long) i * LENGTH, LENGTH);
      if (host == 0) {
        return Status.DATA_TRANSFER_ERROR;
      }
      final int status =
          descriptor(
              Mem.getLong(host + SglDescriptor.ADDRESS_OFFSET),
              Mem.getLong(host + SglDescriptor.WORD_OFFSET),
              i == count - 1,
              last);
      if (status != Status.SUCCESS) {
        return status;
      }
    }
    return Status.SUCCESS;
  }

  private int descriptor(
      final long address, final long word, final boolean isLastOfSegment, final boolean last) {
    if (SglDescriptor.subtype(word) != SglDescriptor.SUBTYPE_ADDRESS) {
      return Status.INVALID_SGL_TYPE;
    }
    switch (SglDescriptor.type(word)) {
      case SglDescriptor.TYPE_DATA_BLOCK, SglDescriptor.TYPE_BIT_BUCKET -> {
        // A segment that is not the last one ends with the descriptor of the next one.
        if (isLastOfSegment && !last) {
          return Status.INVALID_SGL_SEGMENT;
        }
        return SglDescriptor.type(word) == SglDescriptor.TYPE_DATA_BLOCK
            ? block(address, word)
            : bucket(word);
      }
      case SglDescriptor.TYPE_SEGMENT, SglDescriptor.TYPE_LAST_SEGMENT -> {
        if (last) {
          return Status.INVALID_SGL_SEGMENT;
        }
        if (!isLastOfSegment) {
          return Status.INVALID_SGL_COUNT;
        }
        nextAddress = address;
        nextWord = word;
        return Status.SUCCESS;
      }
      default -> {
        return Status.INVALID_SGL_TYPE;
      }
    }
  }

  /** Data of a read that falls away; of no meaning for data that comes from the guest. */
  private int bucket(final long word) {
    if (!isToGuest) {
      return Status.SUCCESS;
    }
    final long bytes = Math.min(leftBytes, SglDescriptor.lengthBytes(word));
    leftBytes -= bytes;
    return out.addTrash(trash, trashBytes, bytes);
  }

  private int block(final long address, final long word) {
    final long bytes = Math.min(leftBytes, SglDescriptor.lengthBytes(word));
    leftBytes -= bytes;
    return bytes == 0 ? Status.SUCCESS : out.add(data, address, bytes);
  }
}

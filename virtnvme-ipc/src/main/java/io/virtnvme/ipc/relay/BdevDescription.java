package io.virtnvme.ipc.relay;

/**
 * A block device as the master describes it to slaves.
 *
 * @param name unique in the instance
 * @param kind which implementation serves it
 * @param blockBytes 512 or 4096
 * @param blockCount length in blocks
 * @param path file or block device for {@link Kind#URING}, the controller's name for {@link
 *     Kind#NVME}, empty otherwise (segments have the disk's name)
 * @param readOnly the backing file is opened read-only, guests see a read-only disk
 * @param serial at most 20 ASCII bytes, what VIRTIO_BLK_T_GET_ID answers
 */
public record BdevDescription(
    String name,
    Kind kind,
    int blockBytes,
    long blockCount,
    String path,
    boolean readOnly,
    String serial) {
  /** The implementations; the code is on the wire. */
  public enum Kind {
    MEM(1),
    URING(2),
    NULL(3),
    NVME(4);

    private final int code;

    Kind(final int code) {
      this.code = code;
    }

    static Kind of(final int code) {
      for (final Kind kind : values()) {
        if (kind.code == code) {
          return kind;
        }
      }
      throw new RelayFormatException("unknown bdev kind: code=" + code);
    }
  }

  public long lengthBytes() {
    return blockCount * blockBytes;
  }

  public BdevDescription withBlockCount(final long newBlockCount) {
    return new BdevDescription(name, kind, blockBytes, newBlockCount, path, readOnly, serial);
  }

  public void write(final RelayWriter writer) {
    writer
        .putString(name)
        .putInt(kind.code)
        .putInt(blockBytes)
        .putLong(blockCount)
        .putString(path)
        .putInt(readOnly ? 1 : 0)
        .putString(serial);
  }

  public static BdevDescription read(final RelayReader reader) {
    return new BdevDescription(
        reader.getString(),
        Kind.of(reader.getInt()),
        reader.getInt(),
        reader.getLong(),
        reader.getString(),
        reader.getInt() != 0,
        reader.getString());
  }
}

package io.virtnvme.tools.migrate;

/** Frames between source and destination, with what their payload may be long. */
enum FrameType {
  /** To the destination, first: a {@link Hello}. */
  HELLO(1, Hello.LENGTH_MIN, Hello.LENGTH_MAX),
  /** To the source: major and minor version (u16 each), 1 if the disk is there already (u8). */
  WELCOME(2, 5, 5),
  /** From either end, last: why it goes no further (UTF-8). */
  ERROR(3, 0, 1024),
  /** To the source: first chunk (u64), then the checksum of each chunk (u64) of the destination. */
  SUMS(4, 16, 8 + 8 * 8192),
  /** To the destination: chunk (u64), checksum (u64), its bytes. */
  CHUNK(5, 16 + 512, 16 + ChunkTable.CHUNK_BYTES),
  /** To the destination: first chunk (u64), count (u32): zeroes. */
  ZERO(6, 12, 12),
  /** To the destination: what was sent is to be written: number of the pass (u32). */
  PASS_END(7, 4, 4),
  /** To the source, answers PASS_END (the same number): it is. */
  PASS_DONE(8, 4, 4),
  /** To the destination: read everything again; SUMS answer it. */
  VERIFY(9, 0, 0),
  /** To the destination: it is complete, make it durable: digest of all checksums (u64). */
  PREPARE(10, 8, 8),
  /** To the source, answers PREPARE: it is, and on record. */
  PREPARED(11, 0, 0),
  /** To the destination: the source has let go for good. */
  COMMIT(12, 0, 0),
  /** To the source, answers COMMIT: the destination serves it. */
  COMMITTED(13, 0, 0),
  /**
   * To the destination, since minor version 1: chunk (u64), checksum (u64), another chunk (u64)
   * that it is equal to.
   */
  REFERENCE(14, 24, 24);

  /** The longest payload of any frame. */
  static final int PAYLOAD_MAX = 16 + ChunkTable.CHUNK_BYTES;

  private static final FrameType[] BY_CODE = new FrameType[16];

  static {
    for (final FrameType type : values()) {
      BY_CODE[type.code] = type;
    }
  }

  private final int code;
  private final int lengthMin;
  private final int lengthMax;

  FrameType(final int code, final int lengthMin, final int lengthMax) {
    this.code = code;
    this.lengthMin = lengthMin;
    this.lengthMax = lengthMax;
  }

  int code() {
    return code;
  }

  /** Null for an unknown code. */
  static FrameType of(final int code) {
    return code < 0 || code >= BY_CODE.length ? null : BY_CODE[code];
  }

  boolean fits(final int payloadLength) {
    return payloadLength >= lengthMin && payloadLength <= lengthMax;
  }
}

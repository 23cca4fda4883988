package io.virtnvme.ipc.nvme;

import io.virtnvme.ipc.memory.LayoutText;

/**
 * Identify Namespace data structure of the NVM command set, little endian (NVM command set
 * specification 1.0, figure 97): what Identify answers for {@link Cns#NAMESPACE}. The fields that
 * are not here are 0. NGUID and EUI64 are big endian, as everywhere outside NVMe.
 *
 * <pre>
 *  0     NSZE (8)  NCAP (8)  NUSE (8)                    blocks
 *  24    NSFEAT (1)  NLBAF (1)  FLBAS (1)                ...
 *  33    DLFEAT (1)                                      ...
 *  48    NVMCAP (16)                                     bytes
 *  99    NSATTR (1)                                      ...
 *  104   NGUID (16)  EUI64 (8)
 *  128   LBAF0 (4): metadata (2), block size as a power of two (1), performance (1)   ...
 *  4096
 * </pre>
 */
public final class IdentifyNamespace {
  public static final int SIZE_OFFSET = 0;
  public static final int CAPACITY_OFFSET = 8;
  public static final int USE_OFFSET = 16;
  public static final int FEATURES_OFFSET = 24;
  public static final int FORMAT_COUNT_OFFSET = 25;
  public static final int FORMAT_OFFSET = 26;
  public static final int DEALLOCATE_FEATURES_OFFSET = 33;
  public static final int CAPACITY_BYTES_OFFSET = 48;
  public static final int CAPACITY_BYTES_LENGTH = 16;
  public static final int ATTRIBUTES_OFFSET = 99;
  public static final int NGUID_OFFSET = 104;
  public static final int NGUID_LENGTH = 16;
  public static final int EUI64_OFFSET = 120;
  public static final int EUI64_LENGTH = 8;
  public static final int FORMAT_0_OFFSET = 128;
  public static final int FORMAT_LENGTH = 4;

  /** In a format: log2 of the bytes of a block. */
  public static final int FORMAT_BLOCK_SHIFT_OFFSET = 2;

  public static final int LENGTH = 4096;

  /** DLFEAT: deallocated blocks read as zeroes. */
  public static final int DLFEAT_READS_ZERO = 1;

  /** DLFEAT: Write Zeroes may deallocate. */
  public static final int DLFEAT_WRITE_ZEROES = 1 << 3;

  /** NSATTR: write protected now. */
  public static final int NSATTR_WRITE_PROTECTED = 1;

  // The data structure of Cns.INDEPENDENT_NAMESPACE (base specification 2.0, figure 280).
  public static final int INDEPENDENT_ATTRIBUTES_OFFSET = 8;
  public static final int INDEPENDENT_STATUS_OFFSET = 14;

  /** Status: ready. */
  public static final int INDEPENDENT_STATUS_READY = 1;

  // Namespace identification descriptors, Cns.NAMESPACE_DESCRIPTORS (figure 277).
  public static final int DESCRIPTOR_TYPE_OFFSET = 0;
  public static final int DESCRIPTOR_LENGTH_OFFSET = 1;
  public static final int DESCRIPTOR_HEADER_LENGTH = 4;
  public static final int DESCRIPTOR_EUI64 = 1;
  public static final int DESCRIPTOR_NGUID = 2;
  public static final int DESCRIPTOR_UUID = 3;
  public static final int DESCRIPTOR_COMMAND_SET = 4;

  // The data structure of Cns.IO_COMMAND_SET_CONTROLLER for the NVM command set (figure 100).
  public static final int VERIFY_MAX_OFFSET = 0;
  public static final int WRITE_ZEROES_MAX_OFFSET = 1;
  public static final int DSM_RANGES_MAX_OFFSET = 3;
  public static final int DSM_RANGE_BLOCKS_MAX_OFFSET = 4;
  public static final int DSM_BLOCKS_MAX_OFFSET = 8;

  private IdentifyNamespace() {}

  /** Offset, length and name of each field, as the golden test wants them. */
  public static String describe() {
    return LayoutText.of("identify namespace", LENGTH)
        .field("nsze", SIZE_OFFSET, Long.BYTES)
        .field("ncap", CAPACITY_OFFSET, Long.BYTES)
        .field("nuse", USE_OFFSET, Long.BYTES)
        .field("nsfeat", FEATURES_OFFSET, Byte.BYTES)
        .field("nlbaf", FORMAT_COUNT_OFFSET, Byte.BYTES)
        .field("flbas", FORMAT_OFFSET, Byte.BYTES)
        .field("dlfeat", DEALLOCATE_FEATURES_OFFSET, Byte.BYTES)
        .field("nvmcap", CAPACITY_BYTES_OFFSET, CAPACITY_BYTES_LENGTH)
        .field("nsattr", ATTRIBUTES_OFFSET, Byte.BYTES)
        .field("nguid", NGUID_OFFSET, NGUID_LENGTH)
        .field("eui64", EUI64_OFFSET, EUI64_LENGTH)
        .field("lbaf0", FORMAT_0_OFFSET, FORMAT_LENGTH)
        .text();
  }
}

package io.virtnvme.ipc.sys;

import io.virtnvme.ipc.memory.Mem;

/**
 * VFIO's calls and the structures that they take (Linux: include/uapi/linux/vfio.h). Each structure
 * begins with its own length and with flags:
 *
 * <pre>
 *  group status:   0 argsz (4)  4 flags (4)
 *  device info:    0 argsz (4)  4 flags (4)  8 regions (4)  12 interrupts (4)  16 capabilities (4)
 *  region info:    0 argsz (4)  4 flags (4)  8 index (4)  12 capabilities (4)  16 length (8)
 *                  24 offset (8)
 *  IOMMU info:     0 argsz (4)  4 flags (4)  8 page lengths (8)  16 capabilities (4)
 *  map:            0 argsz (4)  4 flags (4)  8 address (8)  16 iova (8)  24 length (8)
 *  unmap:          0 argsz (4)  4 flags (4)  8 iova (8)  16 length (8)
 *  capability:     0 id (2)  2 version (2)  4 next (4)
 *  iova ranges:    8 count (4)  16 [first (8)  last (8)]...
 *  mappings left:  8 count (4)
 * </pre>
 */
final class VfioCall {
  private static final long BASE = 0x3B64;
  static final long GET_API_VERSION = BASE;
  static final long CHECK_EXTENSION = BASE + 1;
  static final long SET_IOMMU = BASE + 2;
  static final long GROUP_GET_STATUS = BASE + 3;
  static final long GROUP_SET_CONTAINER = BASE + 4;
  static final long GROUP_GET_DEVICE_FD = BASE + 6;
  static final long DEVICE_GET_INFO = BASE + 7;
  static final long DEVICE_GET_REGION_INFO = BASE + 8;
  static final long DEVICE_RESET = BASE + 11;
  static final long IOMMU_GET_INFO = BASE + 12;
  static final long IOMMU_MAP = BASE + 13;
  static final long IOMMU_UNMAP = BASE + 14;

  static final int API_VERSION = 0;
  static final int TYPE1_V2 = 3;

  static final int FLAGS_OFFSET = 4;

  static final int GROUP_STATUS_LENGTH = 8;
  static final int GROUP_VIABLE = 1;

  static final int DEVICE_INFO_LENGTH = 16;
  static final int DEVICE_RESETTABLE = 1;
  static final int DEVICE_PCI = 1 << 1;
  static final int DEVICE_REGIONS_OFFSET = 8;

  static final int REGION_INDEX_OFFSET = 8;
  static final int REGION_SIZE_OFFSET = 16;
  static final int REGION_OFFSET_OFFSET = 24;
  static final int REGION_INFO_LENGTH = 32;
  static final int REGION_MAPPABLE = 1 << 2;

  static final int IOMMU_INFO_LENGTH = 24;
  static final int IOMMU_CAPABILITIES_OFFSET = 16;
  static final int IOMMU_HAS_CAPABILITIES = 1 << 1;

  static final int CAPABILITY_NEXT_OFFSET = 4;
  static final int CAPABILITY_COUNT_OFFSET = 8;
  static final int CAPABILITY_RANGES_OFFSET = 16;
  static final int CAPABILITY_IOVA_RANGES = 1;
  static final int CAPABILITY_MAPPINGS_LEFT = 3;

  static final int MAP_ADDRESS_OFFSET = 8;
  static final int MAP_IOVA_OFFSET = 16;
  static final int MAP_SIZE_OFFSET = 24;
  static final int MAP_LENGTH = 32;
  static final int MAP_READ_WRITE = 3;

  static final int UNMAP_IOVA_OFFSET = 8;
  static final int UNMAP_SIZE_OFFSET = 16;
  static final int UNMAP_LENGTH = 24;

  private VfioCall() {}

  /** A zeroed structure with its length in it; ends with {@link Mem#free}. */
  static long structure(final int lengthBytes) {
    final long structure = Mem.allocate(lengthBytes);
    Mem.putInt(structure, lengthBytes);
    return structure;
  }
}

package io.virtnvme.ipc.nvme.device;

/** The memory that a device can reach, by I/O virtual addresses that the caller chose. */
public interface DmaSpace {
  /**
   * Lets the device read and write a range of this process's memory, which stays where it is until
   * {@link #unmap}.
   *
   * @param address of the range here, beginning a page
   * @param iova of the range as the device sees it, beginning a page
   * @param lengthBytes whole pages
   * @throws io.virtnvme.ipc.sys.SysException when the kernel refuses: EEXIST when a part is mapped,
   *     EINVAL outside of what the IOMMU translates, ENOMEM beyond the limit of locked memory,
   *     ENOSPC beyond the number of mappings
   */
  void map(long address, long iova, long lengthBytes);

  /** Ends what {@link #map} began, with the same range. */
  void unmap(long iova, long lengthBytes);
}

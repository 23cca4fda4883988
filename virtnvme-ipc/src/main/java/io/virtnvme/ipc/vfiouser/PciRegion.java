package io.virtnvme.ipc.vfiouser;

/** VFIO's numbers of a PCI device's regions ({@code linux/vfio.h}). */
public final class PciRegion {
  public static final int BAR0 = 0;
  public static final int BAR4 = 4;
  public static final int BAR_COUNT = 6;
  public static final int ROM = 6;
  public static final int CONFIG = 7;
  public static final int VGA = 8;
  public static final int COUNT = 9;

  private PciRegion() {}
}

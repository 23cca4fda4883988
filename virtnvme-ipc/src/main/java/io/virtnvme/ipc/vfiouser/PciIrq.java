package io.virtnvme.ipc.vfiouser;

/** VFIO's numbers of a PCI device's kinds of interrupts ({@code linux/vfio.h}). */
public final class PciIrq {
  public static final int INTX = 0;
  public static final int MSI = 1;
  public static final int MSIX = 2;
  public static final int ERR = 3;
  public static final int REQ = 4;
  public static final int COUNT = 5;

  private PciIrq() {}
}

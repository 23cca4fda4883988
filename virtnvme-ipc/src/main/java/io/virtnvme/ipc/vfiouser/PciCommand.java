package io.virtnvme.ipc.vfiouser;

/** The command register of a PCI function (PCI Express Base 4.0, 7.5.1.1.3); 16 bits. */
public final class PciCommand {
  /** In the configuration space. */
  public static final int OFFSET = 0x04;

  /** The function answers accesses to its BARs. */
  public static final int MEMORY_SPACE = 1 << 1;

  /** The function may read and write memory. */
  public static final int BUS_MASTER = 1 << 2;

  private PciCommand() {}
}

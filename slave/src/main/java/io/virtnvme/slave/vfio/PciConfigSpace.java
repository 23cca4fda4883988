package io.virtnvme.slave.vfio;

import io.virtnvme.ipc.memory.LittleEndian;
import io.virtnvme.ipc.vfiouser.PciCommand;
import java.util.Arrays;

/**
 * The PCI configuration space of an NVMe controller (PCI Express Base 4.0, 7.5). Immutable: a write
 * makes another one. The first 256 bytes are here; the extended space has no capabilities and reads
 * zero.
 *
 * <pre>
 *  00  header type 0: vendor "VN", device 1, class 010802h, BAR0 and BAR4 of 64 bits, no INTx pin
 *  40  power management: D0 and D3hot, no reset on the way back
 *  50  MSI-X: table and pending bits in BAR4
 *  60  PCI Express endpoint, version 2, function level reset
 * </pre>
 *
 * <p>Vendor 4E56h ("VN") belongs to nobody; QEMU can show another one (x-pci-vendor-id). One that
 * belongs to somebody brings that maker's quirks in guests' drivers. Interrupts are MSI-X alone: an
 * interrupt line could not tell a request served from one that arrived meanwhile.
 *
 * <p>Front-ends keep BARs, MSI-X table and INTx to themselves, as VFIO has it; what they write
 * through is stored as a device would store it.
 */
final class PciConfigSpace {
  /** Length of the region: that of PCI Express. */
  static final int REGION_LENGTH = 4096;

  static final int LENGTH = 256;
  static final int VENDOR_ID = NvmeMachine.PCI_VENDOR_ID;
  static final int DEVICE_ID = 0x0001;

  static final int BAR0_LENGTH = 0x4000;
  static final int BAR4_LENGTH = 0x2000;
  static final int PENDING_BITS_OFFSET = 0x1000;

  private static final int VENDOR_ID_OFFSET = 0x00;
  private static final int DEVICE_ID_OFFSET = 0x02;
  private static final int STATUS_OFFSET = 0x06;
  private static final int CLASS_OFFSET = 0x08;
  private static final int CACHE_LINE_OFFSET = 0x0C;
  private static final int LATENCY_OFFSET = 0x0D;
  private static final int BAR0_OFFSET = 0x10;
  private static final int BAR4_OFFSET = 0x20;
  private static final int SUBSYSTEM_VENDOR_OFFSET = 0x2C;
  private static final int SUBSYSTEM_OFFSET = 0x2E;
  private static final int CAPABILITIES_OFFSET = 0x34;
  private static final int INTERRUPT_LINE_OFFSET = 0x3C;

  private static final int PM_OFFSET = 0x40;
  private static final int PM_CAPABILITIES_OFFSET = PM_OFFSET + 2;
  private static final int PM_CONTROL_OFFSET = PM_OFFSET + 4;
  private static final int MSIX_OFFSET = 0x50;
  private static final int MSIX_CONTROL_OFFSET = MSIX_OFFSET + 2;
  private static final int MSIX_TABLE_OFFSET = MSIX_OFFSET + 4;
  private static final int MSIX_PENDING_OFFSET = MSIX_OFFSET + 8;
  private static final int EXPRESS_OFFSET = 0x60;
  private static final int EXPRESS_CAPABILITIES_OFFSET = EXPRESS_OFFSET + 2;
  private static final int DEVICE_CAPABILITIES_OFFSET = EXPRESS_OFFSET + 4;
  private static final int DEVICE_CONTROL_OFFSET = EXPRESS_OFFSET + 8;
  private static final int LINK_CAPABILITIES_OFFSET = EXPRESS_OFFSET + 12;
  private static final int LINK_CONTROL_OFFSET = EXPRESS_OFFSET + 16;
  private static final int LINK_STATUS_OFFSET = EXPRESS_OFFSET + 18;
  private static final int DEVICE_CONTROL_2_OFFSET = EXPRESS_OFFSET + 40;

  private static final int CAPABILITY_PM = 0x01;
  private static final int CAPABILITY_EXPRESS = 0x10;
  private static final int CAPABILITY_MSIX = 0x11;

  /** Class 01h, subclass 08h, interface 02h, revision 1. */
  private static final int CLASS_AND_REVISION = 0x01080201;

  private static final int STATUS_HAS_CAPABILITIES = 0x10;
  private static final int BAR_64_BIT = 0x4;

  /** Memory space, bus master, parity, SERR#, INTx disable. */
  private static final int COMMAND_WRITABLE = 0x0546;

  private static final int PM_VERSION_3 = 0x3;
  private static final int PM_NO_SOFT_RESET = 0x8;
  private static final int PM_STATE_WRITABLE = 0x3;
  private static final int MSIX_WRITABLE = 0xC000;
  private static final int EXPRESS_ENDPOINT_2 = 0x0002;

  /** Role-based error reporting, function level reset. */
  private static final int DEVICE_CAPABILITIES = 1 << 15 | 1 << 28;

  private static final int DEVICE_CONTROL_WRITABLE = 0x7FFF;
  private static final int DEVICE_CONTROL_INITIAL = 0x2810;
  private static final int INITIATE_RESET = 0x8000;

  /** 2.5 GT/s, one lane. */
  private static final int LINK = 0x11;

  private static final int LINK_CONTROL_WRITABLE = 0x00C3;
  private static final int DEVICE_CONTROL_2_WRITABLE = 0x001F;

  private static final byte[] WRITABLE = writable();

  private final byte[] bytes;

  private PciConfigSpace(final byte[] bytes) {
    this.bytes = bytes;
  }

  /** A device that nobody has touched. */
  static PciConfigSpace initial(final int vectorCount) {
    final byte[] b = new byte[LENGTH];
    LittleEndian.putShort(b, VENDOR_ID_OFFSET, VENDOR_ID);
    LittleEndian.putShort(b, DEVICE_ID_OFFSET, DEVICE_ID);
    // 0 by 7.5.1.1.3, as after firmware here: there are front-ends without a PCI bus, which never
    // look at this register and expect their queues to be served.
    LittleEndian.putShort(b, PciCommand.OFFSET, PciCommand.BUS_MASTER);
    LittleEndian.putShort(b, STATUS_OFFSET, STATUS_HAS_CAPABILITIES);
    LittleEndian.putInt(b, CLASS_OFFSET, CLASS_AND_REVISION);
    LittleEndian.putInt(b, BAR0_OFFSET, BAR_64_BIT);
    LittleEndian.putInt(b, BAR4_OFFSET, BAR_64_BIT);
    LittleEndian.putShort(b, SUBSYSTEM_VENDOR_OFFSET, VENDOR_ID);
    LittleEndian.putShort(b, SUBSYSTEM_OFFSET, DEVICE_ID);
    b[CAPABILITIES_OFFSET] = PM_OFFSET;

    capability(b, PM_OFFSET, CAPABILITY_PM, MSIX_OFFSET);
    LittleEndian.putShort(b, PM_CAPABILITIES_OFFSET, PM_VERSION_3);
    LittleEndian.putShort(b, PM_CONTROL_OFFSET, PM_NO_SOFT_RESET);

    capability(b, MSIX_OFFSET, CAPABILITY_MSIX, EXPRESS_OFFSET);
    LittleEndian.putShort(b, MSIX_CONTROL_OFFSET, vectorCount - 1);
    LittleEndian.putInt(b, MSIX_TABLE_OFFSET, 4);
    LittleEndian.putInt(b, MSIX_PENDING_OFFSET, PENDING_BITS_OFFSET | 4);

    capability(b, EXPRESS_OFFSET, CAPABILITY_EXPRESS, 0);
    LittleEndian.putShort(b, EXPRESS_CAPABILITIES_OFFSET, EXPRESS_ENDPOINT_2);
    LittleEndian.putInt(b, DEVICE_CAPABILITIES_OFFSET, DEVICE_CAPABILITIES);
    LittleEndian.putShort(b, DEVICE_CONTROL_OFFSET, DEVICE_CONTROL_INITIAL);
    LittleEndian.putInt(b, LINK_CAPABILITIES_OFFSET, LINK);
    LittleEndian.putShort(b, LINK_STATUS_OFFSET, LINK);
    return new PciConfigSpace(b);
  }

  private static void capability(
      final byte[] b, final int offset, final int id, final int nextOffset) {
    b[offset] = (byte) id;
    b[offset + 1] = (byte) nextOffset;
  }

  /** One bit for each that a front-end may change. */
  private static byte[] writable() {
    final byte[] mask = new byte[LENGTH];
    LittleEndian.putShort(mask, PciCommand.OFFSET, COMMAND_WRITABLE);
    mask[CACHE_LINE_OFFSET] = (byte) 0xFF;
    mask[LATENCY_OFFSET] = (byte) 0xFF;
    LittleEndian.putLong(mask, BAR0_OFFSET, -BAR0_LENGTH);
    LittleEndian.putLong(mask, BAR4_OFFSET, -BAR4_LENGTH);
    mask[INTERRUPT_LINE_OFFSET] = (byte) 0xFF;
    LittleEndian.putShort(mask, PM_CONTROL_OFFSET, PM_STATE_WRITABLE);
    LittleEndian.putShort(mask, MSIX_CONTROL_OFFSET, MSIX_WRITABLE);
    LittleEndian.putShort(mask, DEVICE_CONTROL_OFFSET, DEVICE_CONTROL_WRITABLE);
    LittleEndian.putShort(mask, LINK_CONTROL_OFFSET, LINK_CONTROL_WRITABLE);
    LittleEndian.putShort(mask, DEVICE_CONTROL_2_OFFSET, DEVICE_CONTROL_2_WRITABLE);
    return mask;
  }

  /**
   * The space from a record.
   *
   * @return null when its read-only parts are not those of this build's device
   */
  static PciConfigSpace of(final byte[] recorded, final int vectorCount) {
    final byte[] initial = initial(vectorCount).bytes;
    for (int i = 0; i < LENGTH; i++) {
      if (((recorded[i] ^ initial[i]) & ~WRITABLE[i]) != 0) {
        return null;
      }
    }
    return new PciConfigSpace(recorded.clone());
  }

  byte[] bytes() {
    return bytes.clone();
  }

  /** Whether the function may reach guest memory (7.5.1.1.3, Bus Master Enable). */
  boolean isBusMaster() {
    return (bytes[PciCommand.OFFSET] & PciCommand.BUS_MASTER) != 0;
  }

  /** Copies a range of the region, which lies within it. */
  void read(final int offset, final byte[] to, final int toOffset, final int count) {
    for (int i = 0; i < count; i++) {
      to[toOffset + i] = offset + i < LENGTH ? bytes[offset + i] : 0;
    }
  }

  /** The space after a write to a range of the region, of any width; read-only bits stay. */
  PciConfigSpace write(final int offset, final byte[] from, final int fromOffset, final int count) {
    final byte[] changed = bytes.clone();
    for (int i = 0; i < count && offset + i < LENGTH; i++) {
      final int at = offset + i;
      changed[at] = (byte) ((changed[at] & ~WRITABLE[at]) | (from[fromOffset + i] & WRITABLE[at]));
    }
    return new PciConfigSpace(changed);
  }

  /** Whether such a write asks for a function level reset (7.5.3.4: the bit itself reads zero). */
  static boolean asksForReset(
      final int offset, final byte[] from, final int fromOffset, final int count) {
    final int at = DEVICE_CONTROL_OFFSET + 1 - offset;
    return at >= 0 && at < count && (from[fromOffset + at] << 8 & INITIATE_RESET) != 0;
  }

  @Override
  public boolean equals(final Object other) {
    return other instanceof PciConfigSpace space && Arrays.equals(bytes, space.bytes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes);
  }
}

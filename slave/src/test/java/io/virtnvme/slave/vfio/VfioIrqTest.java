package io.virtnvme.slave.vfio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.vfiouser.IrqInfo;
import io.virtnvme.ipc.vfiouser.IrqSet;
import io.virtnvme.ipc.vfiouser.PciIrq;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Interrupts: how many there are, and the eventfds behind them. */
class VfioIrqTest extends VfioSessionCase {
  private byte[] irqInfo(final int index) {
    final byte[] message = fixture.command(VfioUserCommand.DEVICE_GET_IRQ_INFO, IrqInfo.LENGTH);
    IrqInfo.put(message, IrqInfo.LENGTH, 0, index, 0);
    return message;
  }

  @Test
  void shouldSayHowManyInterruptsThereAre() {
    fixture.negotiate();
    final int[] counts = {0, 0, VfioFixture.VECTOR_COUNT, 1, 1};
    for (int i = 0; i < counts.length; i++) {
      assertEquals(counts[i], IrqInfo.count(fixture.ask(irqInfo(i))), "kind " + i);
    }
    assertEquals(IrqInfo.EVENTFD_FLAG, IrqInfo.flags(fixture.ask(irqInfo(PciIrq.MSIX))));
    fixture.refused(Errno.EINVAL, irqInfo(5));
    fixture.refused(Errno.EINVAL, irqInfo(-1));
  }

  @Test
  void shouldSetReplaceAndTakeBackEventfds() {
    fixture.negotiate();
    final int a = EventFd.create();
    final int b = EventFd.create();
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 1, 2), a, b);
    assertEquals(-1, fixture.devices.vectorFds[0]);
    assertTrue(fixture.devices.vectorFds[1] >= 0);
    assertTrue(fixture.devices.vectorFds[2] >= 0);
    final long version = fixture.session.version();
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 2, 1), a);
    assertEquals(version + 1, fixture.session.version(), "another descriptor is a change");
    // Without descriptors: those of the range are taken back.
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 1, 1));
    assertEquals(-1, fixture.devices.vectorFds[1]);
    assertTrue(fixture.devices.vectorFds[2] >= 0);
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.ERR, 0, 1), a);
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.REQ, 0, 1), b);
    fixture.ask(
        fixture.setIrqs(IrqSet.DATA_NONE_FLAG | IrqSet.ACTION_TRIGGER_FLAG, PciIrq.MSIX, 0, 0));
    assertEquals(-1, fixture.devices.vectorFds[2]);
    assertEquals(
        List.of(VfioSlots.ERR, VfioSlots.REQ, VfioSlots.DOORBELLS, VfioSlots.AREA),
        List.copyOf(fixture.masterFds.keySet()));
    Fds.close(a);
    Fds.close(b);
  }

  private static long drained(final int fd) {
    final long scratch = Mem.allocate(Long.BYTES);
    final long read = Fds.read(fd, scratch, Long.BYTES);
    final long value = read == Long.BYTES ? Mem.getLong(scratch) : 0;
    Mem.free(scratch);
    return value;
  }

  @Test
  void shouldSignalWhatAFrontEndWantsToSeeOfItsOwnInterrupts() {
    fixture.negotiate();
    final int a = EventFd.create();
    final int b = EventFd.create();
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 0, 2), a, b);
    fixture.ask(
        fixture.setIrqs(IrqSet.DATA_NONE_FLAG | IrqSet.ACTION_TRIGGER_FLAG, PciIrq.MSIX, 0, 3));
    assertEquals(1, drained(a));
    assertEquals(1, drained(b));
    final byte[] some =
        fixture.setIrqs(IrqSet.DATA_BOOL_FLAG | IrqSet.ACTION_TRIGGER_FLAG, PciIrq.MSIX, 0, 2);
    some[VfioUserMessage.PAYLOAD_OFFSET + IrqSet.LENGTH + 1] = 1;
    fixture.ask(some);
    assertEquals(0, drained(a));
    assertEquals(1, drained(b));
    Fds.close(a);
    Fds.close(b);
  }

  @Test
  void shouldRefuseInterruptsThatCannotBe() {
    fixture.negotiate();
    final int event = EventFd.create();
    final int none = IrqSet.DATA_NONE_FLAG;
    final int bool = IrqSet.DATA_BOOL_FLAG;
    final int events = IrqSet.DATA_EVENTFD_FLAG;
    final int trigger = IrqSet.ACTION_TRIGGER_FLAG;
    final int mask = IrqSet.ACTION_MASK_FLAG;
    final int unmask = IrqSet.ACTION_UNMASK_FLAG;
    final int last = VfioFixture.VECTOR_COUNT;
    final int[][] bad = {
      {events | trigger, PciIrq.MSIX, last, 1},
      {events | trigger, PciIrq.MSIX, 0, last + 1},
      {events | trigger, PciIrq.MSIX, last - 1, 2},
      {events | trigger, PciIrq.MSIX, -1, 1},
      {events | trigger, PciIrq.MSIX, 0, -1},
      {events | trigger, PciIrq.MSIX, 0x7FFF_FFFF, 0x7FFF_FFFF},
      {events | trigger, PciIrq.MSIX, 0, 0},
      {events | trigger, PciIrq.INTX, 0, 1},
      {events | trigger, PciIrq.MSI, 0, 1},
      {events | trigger, 5, 0, 1},
      {events | trigger, -1, 0, 1},
      {events | trigger, PciIrq.ERR, 0, 2},
      {events | trigger, PciIrq.REQ, 1, 1},
      {none | mask, PciIrq.MSIX, 0, 1},
      {none | unmask, PciIrq.MSIX, 0, 1},
      {bool | mask, PciIrq.MSIX, 0, 1},
      {events | mask, PciIrq.MSIX, 0, 1},
      {none | mask, PciIrq.MSIX, 0, 0},
      {none | trigger, PciIrq.MSIX, 1, 0},
      {bool | trigger, PciIrq.MSIX, 0, 0},
      {none | bool | trigger, PciIrq.MSIX, 0, 1},
      {none | trigger | mask, PciIrq.MSIX, 0, 1},
      {none, PciIrq.MSIX, 0, 1},
      {trigger, PciIrq.MSIX, 0, 1},
      {0, PciIrq.MSIX, 0, 1},
      {none | trigger | 0x40, PciIrq.MSIX, 0, 1},
      {-1, -1, -1, -1},
    };
    for (final int[] b : bad) {
      fixture.refused(Errno.EINVAL, fixture.setIrqs(b[0], b[1], b[2], Math.min(b[3], 64)));
    }
    fixture.refused(Errno.EINVAL, fixture.setIrqs(events | trigger, PciIrq.MSIX, 0, 2), event);
    fixture.refused(Errno.EINVAL, fixture.setIrqs(none | trigger, PciIrq.MSIX, 0, 1), event);
    fixture.refused(Errno.EINVAL, fixture.setIrqs(events | trigger, PciIrq.MSIX, 0, 1), memory);
    final byte[] tooShort = fixture.setIrqs(bool | trigger, PciIrq.MSIX, 0, 1);
    IrqSet.put(tooShort, 64, bool | trigger, PciIrq.MSIX, 0, 4);
    fixture.refused(Errno.EINVAL, tooShort);
    fixture.refused(
        Errno.EINVAL, fixture.command(VfioUserCommand.DEVICE_SET_IRQS, IrqSet.LENGTH - 1));
    // To disable what there is none of is done at once.
    fixture.ask(fixture.setIrqs(none | trigger, PciIrq.INTX, 0, 0));
    Fds.close(event);
  }
}

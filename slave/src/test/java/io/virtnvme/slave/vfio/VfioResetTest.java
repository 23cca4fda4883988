package io.virtnvme.slave.vfio;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.vfiouser.PciIrq;
import io.virtnvme.ipc.vfiouser.PciRegion;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Resets, and what the configuration space does to the controller. */
class VfioResetTest extends VfioSessionCase {
  @Test
  void shouldResetControllerAndConfigurationAndKeepMemoryAndInterrupts() {
    fixture.negotiate();
    final int event = EventFd.create();
    fixture.ask(fixture.map(0, MIB, 0, READ_WRITE), memory);
    fixture.ask(fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 0, 1), event);
    fixture.ask(fixture.write(PciRegion.CONFIG, 4, 2, 4));
    fixture.devices.calls.clear();
    fixture.ask(fixture.command(VfioUserCommand.DEVICE_RESET, 0));
    assertEquals(List.of("reset", "update"), fixture.devices.calls);
    assertTrue(fixture.devices.isBusMaster);
    assertEquals(4, fixture.readNumber(PciRegion.CONFIG, 4, 2));
    assertTrue(fixture.devices.vectorFds[0] >= 0);
    assertNotEquals(0, fixture.devices.readable.translate(0, MIB));
    Fds.close(event);
  }

  @Test
  void shouldResetTheFunctionByItsConfigurationSpace() {
    fixture.negotiate();
    fixture.ask(fixture.write(PciRegion.CONFIG, 4, 2, 4));
    final long control = fixture.readNumber(PciRegion.CONFIG, 0x68, 2);
    fixture.devices.calls.clear();
    fixture.ask(fixture.write(PciRegion.CONFIG, 0x68, (int) control & 0xFF, 0x80));
    assertEquals(List.of("reset", "update"), fixture.devices.calls);
    assertTrue(fixture.devices.isBusMaster);
    assertEquals(4, fixture.readNumber(PciRegion.CONFIG, 4, 2));
    assertEquals(0, fixture.readNumber(PciRegion.CONFIG, 0x69, 1) & 0x80);
  }

  @Test
  void shouldLetTheControllerReachMemoryOnlyAsABusMaster() {
    fixture.negotiate();
    fixture.ask(fixture.map(0x10_0000, MIB, 0, READ_WRITE), memory);
    assertTrue(fixture.devices.isBusMaster, "a front-end may know nothing of PCI");
    fixture.ask(fixture.write(PciRegion.CONFIG, 4, 2));
    assertFalse(fixture.devices.isBusMaster);
    fixture.ask(fixture.write(PciRegion.CONFIG, 4, 6, 4));
    assertTrue(fixture.devices.isBusMaster);
    assertNotEquals(0, fixture.devices.readable.translate(0x10_0000, MIB));
    fixture.devices.calls.clear();
    fixture.ask(fixture.write(PciRegion.CONFIG, 4, 6));
    assertTrue(fixture.devices.calls.isEmpty(), "nothing changed");
    try (VfioFixture standby = fixture.successor()) {
      standby.session.startRings();
      assertTrue(standby.devices.isBusMaster);
    }
    fixture.devices.wait = true;
    final int before = fixture.answers.size();
    fixture.post(fixture.write(PciRegion.CONFIG, 4, 2));
    assertFalse(fixture.devices.isBusMaster);
    assertEquals(before, fixture.answers.size(), "not answered while a command uses the memory");
    fixture.devices.step();
    assertEquals(before + 1, fixture.answers.size());
    fixture.devices.wait = false;
    try (VfioFixture standby = fixture.successor()) {
      standby.session.startRings();
      assertFalse(standby.devices.isBusMaster);
    }
  }
}

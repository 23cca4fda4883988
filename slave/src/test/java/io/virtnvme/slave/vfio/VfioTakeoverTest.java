package io.virtnvme.slave.vfio;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.virtnvme.ipc.memory.Mem;
import io.virtnvme.ipc.sys.Errno;
import io.virtnvme.ipc.sys.EventFd;
import io.virtnvme.ipc.sys.Fds;
import io.virtnvme.ipc.vfiouser.PciIrq;
import io.virtnvme.ipc.vfiouser.PciRegion;
import io.virtnvme.ipc.vfiouser.VfioUserCommand;
import io.virtnvme.ipc.vfiouser.VfioUserMessage;
import io.virtnvme.slave.session.Answer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What a successor does with a session, and what a session leaves behind. */
class VfioTakeoverTest extends VfioSessionCase {
  @Test
  void shouldBeTakenOverWhenItsMemoryWasCutShort() {
    fixture.negotiate();
    fixture.ask(fixture.map(0x10_0000, MIB, 0, READ_WRITE), memory);
    Fds.truncate(memory, 0);
    try (VfioFixture successor = fixture.successor()) {
      successor.session.startRings();
      assertTrue(successor.devices.readable.isCutShort(), "whoever touches it meets a fault");
      successor.refused(Errno.EINVAL, successor.map(0x40_0000, MIB, 0, READ_WRITE), memory);
      successor.ask(successor.unmap(0x10_0000, MIB, 0));
      assertEquals(0, successor.devices.readable.translate(0x10_0000, 1));
    }
  }

  @Test
  void shouldGoOnWhenItsQueuesCannotBeTrusted() {
    assertFalse(fixture.session.goesOnWithoutRings("test"), "there is no controller yet");
    fixture.negotiate();
    fixture.devices.calls.clear();
    assertTrue(fixture.session.goesOnWithoutRings("test"));
    assertEquals(List.of("fail test"), fixture.devices.calls);
    assertEquals(4, fixture.readNumber(PciRegion.CONFIG, 4, 2));
  }

  @Test
  void shouldGiveTheSameStateWhenASuccessorHandlesAMessageAgain() {
    fixture.negotiate();
    final int event = EventFd.create();
    final byte[] map = fixture.map(0x10_0000, MIB, 0, READ_WRITE);
    try (VfioFixture successor = fixture.successor()) {
      fixture.ask(map, memory);
      successor.ask(map, memory);
      assertArrayEquals(fixture.session.record(), successor.session.record());
      assertEquals(fixture.session.version(), successor.session.version());
    }
    final byte[] irqs = fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 3, 1);
    try (VfioFixture successor = fixture.successor()) {
      fixture.ask(irqs, event);
      assertFalse(successor.session.mayStart(), "the dead one went beyond this record");
      successor.ask(irqs, event);
      assertArrayEquals(fixture.session.record(), successor.session.record());
      assertEquals(List.of("make area=7", "resume"), successor.devices.calls.subList(0, 2));
    }
    final byte[] config = fixture.write(PciRegion.CONFIG, 4, 6, 4);
    try (VfioFixture successor = fixture.successor()) {
      fixture.ask(config);
      successor.ask(config);
      assertArrayEquals(fixture.session.record(), successor.session.record());
    }
    Fds.close(event);
  }

  /** A master that died before it sent the reply has the message asked about again. */
  @Test
  void shouldAnswerAMessageThatComesAgainAsBefore() {
    fixture.negotiate();
    final int event = EventFd.create();
    final byte[] read = fixture.read(PciRegion.CONFIG, 0, 4);
    for (final byte[] message :
        List.of(
            fixture.map(0x10_0000, MIB, 0, READ_WRITE),
            fixture.setIrqs(TRIGGER_EVENTS, PciIrq.MSIX, 3, 1),
            fixture.write(PciRegion.CONFIG, 4, 6, 4),
            fixture.unmap(0x10_0000, MIB, 0),
            read)) {
      final int command = VfioUserMessage.commandCode(message);
      final int[] fds =
          command == VfioUserCommand.DMA_MAP.code()
              ? new int[] {memory}
              : command == VfioUserCommand.DEVICE_SET_IRQS.code() ? new int[] {event} : new int[0];
      final byte[] first = fixture.ask(message, fds);
      final byte[] record = fixture.session.record();
      fixture.sequence--;
      assertArrayEquals(first, fixture.ask(message, fds));
      assertArrayEquals(record, fixture.session.record());
      try (VfioFixture successor = fixture.successor()) {
        successor.sequence--;
        assertArrayEquals(first, successor.ask(message, fds));
        assertArrayEquals(record, successor.session.record());
      }
    }
    Fds.close(event);
  }

  /**
   * A message was in the middle of being applied when the master died, and its successor was given
   * the record from before it: the answer to the same message must bring what that one lacks.
   */
  @Test
  void shouldSayAgainWhatBecameOfTheDescriptorsOfAMessage() {
    final byte[] version = fixture.version("{\"capabilities\":{}}");
    for (final byte[] message :
        List.of(
            version,
            fixture.map(0x10_0000, MIB, 0, READ_WRITE),
            fixture.unmap(0x10_0000, MIB, 0))) {
      final int[] fds =
          VfioUserMessage.commandCode(message) == VfioUserCommand.DMA_MAP.code()
              ? new int[] {memory}
              : new int[0];
      final Answer first = fixture.send(message, fds);
      assertTrue(first.slots().length > 0);
      fixture.sequence--;
      final Answer again = fixture.send(message, fds);
      assertEquals(first.version(), again.version());
      assertArrayEquals(first.slots(), again.slots());
      assertArrayEquals(first.sources(), again.sources());
      assertArrayEquals(first.newFds(), again.newFds());
    }
  }

  @Test
  void shouldPrepareWhatASuccessorNeedsWithoutStartingIt() {
    fixture.negotiate();
    fixture.ask(fixture.map(0x10_0000, MIB, 0, READ_WRITE), memory);
    try (VfioFixture standby = fixture.successor()) {
      assertTrue(standby.session.runnableQueues().isEmpty());
      assertEquals(List.of("make area=7", "prepare"), standby.devices.calls);
      standby.session.startRings();
      assertEquals(List.of("make area=7", "prepare", "resume"), standby.devices.calls);
      assertNotEquals(0, standby.devices.writable.translate(0x10_0000, MIB));
    }
  }

  @Test
  void shouldStopTheControllerBeforeItsMemoryGoes() throws IOException {
    final Path second = Files.createDirectory(folder.resolve("second"));
    final long before = VfioFixture.openDescriptors();
    final VfioFixture other = new VfioFixture(second);
    other.negotiate();
    other.ask(other.map(0, MIB, 0, READ_WRITE), memory);
    final long host = other.devices.writable.translate(0, MIB);
    other.devices.wait = true;
    final boolean[] closed = new boolean[1];
    other.session.close(() -> closed[0] = true);
    assertFalse(closed[0]);
    Mem.putInt(host, 1);
    other.devices.step();
    assertTrue(closed[0]);
    other.masterFds.values().forEach(Fds::close);
    other.segment.close();
    assertEquals(before, VfioFixture.openDescriptors(), "descriptors");
  }

  @Test
  void shouldTellTheControllerOfNamespacesAndLengths() {
    fixture.negotiate();
    final boolean[] done = new boolean[1];
    fixture.session.onNamespaces(VfioFixture.description(true), () -> done[0] = true);
    assertTrue(done[0]);
    fixture.session.onResize(1, 100);
    assertEquals(List.of("namespaces 0", "namespaces 0"), fixture.devices.calls.subList(3, 5));
  }
}

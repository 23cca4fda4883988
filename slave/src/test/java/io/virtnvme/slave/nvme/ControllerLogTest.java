package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** NVMe base specification 2.0, 5.16 and 5.2: log pages and asynchronous events. */
class ControllerLogTest {
  private static final int INVALID_FIELD = 2;
  private static final int NAMESPACES_CHANGED = 0x0004_0002;
  private static final int TEMPERATURE = 0x0002_0101;
  private static final int DOORBELL_REGISTER = 0x0001_0000;
  private static final int DOORBELL_VALUE = 0x0001_0100;

  private final ControllerRig rig = new ControllerRig();

  @BeforeEach
  void enable() {
    rig.enable();
  }

  private void change(final Namespace... namespaces) {
    rig.namespaces = List.of(namespaces);
    final boolean[] isDone = new boolean[1];
    rig.controller.namespaces(rig.namespaces, () -> isDone[0] = true);
    rig.host.settle();
    assertTrue(isDone[0]);
  }

  private long request() {
    final long fetchNumber = rig.submit(ControllerRig.eventRequest());
    rig.host.settle();
    return fetchNumber;
  }

  private void assertTold(final long request, final int result) {
    assertEquals(new FakeQueueHost.Done(request, 0, result), rig.host.completionOf(request));
  }

  @Test
  void shouldListWhatIsSupported() {
    final ByteBuffer pages = rig.read(ControllerRig.getLog(0, 1024, false));
    final ByteBuffer features = rig.read(ControllerRig.getLog(0x12, 1024, false));
    for (int id = 0; id < 256; id++) {
      final boolean isPage = id <= 5 || id == 0x12;
      assertEquals(isPage ? 1 : 0, pages.getInt(id * 4), "log page " + id);
      final int scope = id == 5 ? 0x10_0001 : 0x20_0001;
      final boolean isFeature = List.of(1, 2, 4, 5, 6, 7, 8, 9, 0xA, 0xB).contains(id);
      assertEquals(isFeature ? scope : 0, features.getInt(id * 4), "feature " + id);
      if (!isPage) {
        rig.refuse(ControllerRig.getLog(id, 512, false), 0x109, 40);
      }
    }
  }

  @Test
  void shouldListCommandsAndEffects() {
    final ByteBuffer effects = rig.read(ControllerRig.getLog(5, 4096, false));
    final List<Integer> admin = List.of(0, 1, 2, 4, 5, 6, 8, 9, 0xA, 0xC, 0x7C);
    for (int opcode = 0; opcode < 256; opcode++) {
      assertEquals(
          admin.contains(opcode) ? 0x20_0001 : 0, effects.getInt(opcode * 4), "admin " + opcode);
      final int io =
          switch (opcode) {
            case 0, 2, 5, 0xC -> 1;
            case 1, 8, 9 -> 3;
            default -> 0;
          };
      assertEquals(io, effects.getInt(1024 + opcode * 4), "I/O " + opcode);
    }
    rig.refuse(ControllerRig.getLog(5, 4096, false).putInt(56, 2 << 24), INVALID_FIELD, 59);
  }

  @Test
  void shouldLogErrorsNewestFirst() {
    rig.refuse(ControllerRig.identify(0x99, 5), INVALID_FIELD, 40);
    final boolean[] isLogged = new boolean[1];
    rig.controller.commandFailed(
        new CommandError(3, 0x1234, 0x6080, 40, 0x1_0000_0000L, 2), () -> isLogged[0] = true);
    rig.host.settle();
    assertTrue(isLogged[0]);
    final ByteBuffer log = rig.read(ControllerRig.getLog(1, 4096, false));
    assertEquals(2, log.getLong(0));
    assertEquals(3, log.getShort(8));
    assertEquals(0x1234, log.getShort(10));
    assertEquals((short) 0xC100, log.getShort(12));
    assertEquals(40, log.getShort(14));
    assertEquals(0x1_0000_0000L, log.getLong(16));
    assertEquals(2, log.getInt(24));
    assertEquals(1, log.getLong(64));
    assertEquals(0, log.getShort(64 + 8));
    assertEquals((short) 0xC004, log.getShort(64 + 12));
    assertEquals(5, log.getInt(64 + 24));
    assertEquals(0, log.getLong(128));
    for (int i = 0; i < 100; i++) {
      rig.refuse(ControllerRig.identify(0x99, 5), INVALID_FIELD, 40);
    }
    final ByteBuffer full = rig.read(ControllerRig.getLog(1, 4096, false));
    assertEquals(102, full.getLong(0));
    assertEquals(39, full.getLong(63 * 64));
  }

  @Test
  void shouldTellItsHealth() {
    rig.totals = new IoTotals(512_001, 1_024_000, 3, 4, 5);
    rig.nowMs += 7_300_000;
    rig.refuse(ControllerRig.identify(0x99, 5), INVALID_FIELD, 40);
    final ByteBuffer log = rig.read(ControllerRig.getLog(2, 512, false));
    assertEquals(0, log.get(0));
    assertEquals(298, log.getShort(1));
    assertEquals(100, log.get(3));
    assertEquals(10, log.get(4));
    assertEquals(0, log.get(5));
    assertEquals(2, log.getLong(32));
    assertEquals(2, log.getLong(48));
    assertEquals(3, log.getLong(64));
    assertEquals(4, log.getLong(80));
    assertEquals(1, log.getLong(112));
    assertEquals(2, log.getLong(128));
    assertEquals(0, log.getLong(144));
    assertEquals(5, log.getLong(160));
    assertEquals(1, log.getLong(176));
    rig.refuse(ControllerRig.getLog(2, 512, false).putInt(4, 1), INVALID_FIELD, 4);
    rig.succeed(ControllerRig.getLog(2, 512, false).putInt(4, 0));
  }

  @Test
  void shouldTellItsFirmware() {
    final ByteBuffer log = rig.read(ControllerRig.getLog(3, 512, false));
    assertEquals(1, log.get(0));
    assertEquals(0x2020_2020_2020_2031L, log.getLong(8));
    assertEquals(0, log.getLong(16));
  }

  @Test
  void shouldReadAnyPartOfALog() {
    final ByteBuffer whole = rig.read(ControllerRig.getLog(2, 512, true));
    final ByteBuffer part = rig.read(ControllerRig.getLog(2, 16, true).putLong(48, 500));
    assertEquals(whole.getLong(500), part.getLong(0));
    assertEquals(0, part.getInt(12), "what lies behind the log is zero");
    rig.succeed(ControllerRig.getLog(2, 4, true).putLong(48, 512));
    rig.refuse(ControllerRig.getLog(2, 4, true).putLong(48, 516), INVALID_FIELD, 48);
    rig.refuse(ControllerRig.getLog(2, 4, true).putLong(48, 2), INVALID_FIELD, 48);
    rig.refuse(ControllerRig.getLog(2, 4, true).putLong(48, -4), INVALID_FIELD, 48);
    rig.refuse(ControllerRig.getLog(2, 4, true).putInt(56, 1 << 23), INVALID_FIELD, 0x73A);
    assertEquals(1 << 20, rig.read(ControllerRig.getLog(2, 1 << 20, true)).capacity());
    rig.refuse(ControllerRig.getLog(2, (1 << 20) + 4, true), INVALID_FIELD, 42);
    rig.refuse(ControllerRig.getLog(2, 4, true).putInt(44, 0xFFFF), INVALID_FIELD, 42);
  }

  @Test
  void shouldTellThatNamespacesChanged() {
    rig.succeed(ControllerRig.setFeature(0xB, 0x100));
    final long first = request();
    final long second = request();
    assertTrue(rig.host.completions.stream().noneMatch(done -> done.fetchNumber() == first));
    change(ControllerRig.disk(1, 5000, 512), ControllerRig.disk(3, 1, 4096));
    assertTold(first, NAMESPACES_CHANGED);
    assertEquals(5000, rig.read(ControllerRig.identify(0, 1)).getLong(0));
    // Masked until the log is read, but the list goes on.
    change(ControllerRig.disk(1, 5000, 512), ControllerRig.disk(4, 1, 4096));
    assertTrue(rig.host.inflight.containsKey(second));
    final ByteBuffer retained = rig.read(ControllerRig.getLog(4, 4096, true));
    final ByteBuffer log = rig.read(ControllerRig.getLog(4, 4096, false));
    assertEquals(retained, log);
    for (int i = 0; i < 4; i++) {
      assertEquals(i + 1, log.getInt(i * 4));
    }
    assertEquals(0, log.getInt(16));
    assertEquals(0, rig.read(ControllerRig.getLog(4, 4096, false)).getInt(0));
    assertTrue(rig.host.inflight.containsKey(second));
    change(ControllerRig.disk(1, 6000, 512));
    assertTold(second, NAMESPACES_CHANGED);
  }

  @Test
  void shouldNotTellWhatTheHostDoesNotWant() {
    final long request = request();
    change(ControllerRig.DISK_1);
    assertTrue(rig.host.inflight.containsKey(request));
    assertEquals(2, rig.read(ControllerRig.getLog(4, 4096, false)).getInt(0));
  }

  @Test
  void shouldTellAnEventThatCameBeforeTheRequest() {
    rig.write(0x1000 + 8 * 5, 4, 1);
    rig.controller.doorbellFault(DoorbellFault.INVALID_VALUE);
    rig.host.settle();
    assertTold(request(), DOORBELL_REGISTER);
    // Of the same type, so masked; the log of errors makes an end of it.
    final long second = request();
    rig.controller.doorbellFault(DoorbellFault.INVALID_VALUE);
    rig.host.settle();
    assertTrue(rig.host.inflight.containsKey(second));
    rig.succeed(ControllerRig.getLog(1, 64, true));
    rig.controller.doorbellFault(DoorbellFault.INVALID_VALUE);
    rig.host.settle();
    assertTrue(rig.host.inflight.containsKey(second), "retained");
    rig.succeed(ControllerRig.getLog(1, 64, false));
    rig.controller.doorbellFault(DoorbellFault.INVALID_VALUE);
    rig.host.settle();
    assertTold(second, DOORBELL_VALUE);
  }

  @Test
  void shouldTellThatItIsTooWarm() {
    rig.succeed(ControllerRig.setFeature(0xB, 2));
    final long request = request();
    rig.succeed(ControllerRig.setFeature(4, 298));
    assertTold(request, TEMPERATURE);
    assertEquals(2, rig.read(ControllerRig.getLog(2, 512, false)).get(0));
    rig.succeed(ControllerRig.setFeature(4, 299));
    assertEquals(0, rig.read(ControllerRig.getLog(2, 512, false)).get(0));
  }

  @Test
  void shouldLimitRequests() {
    for (int i = 0; i < 4; i++) {
      request();
    }
    rig.refuse(ControllerRig.eventRequest(), 0x105, 0xFFFF);
    assertEquals(4, rig.controller.state().events().outstanding().size());
  }

  @Test
  void shouldLeaveRoomInASmallAdminQueue() {
    rig.write(0x14, 4, ControllerRig.CC_DISABLE);
    rig.write(0x24, 4, 0x0001_0001);
    rig.write(0x14, 4, ControllerRig.CC_ENABLE);
    request();
    rig.refuse(ControllerRig.eventRequest(), 0x105, 0xFFFF);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1})
  void shouldTellASuccessorsChange(final int isTold) {
    rig.succeed(ControllerRig.setFeature(0xB, 0x100));
    final long request = request();
    rig.namespaces = List.of(ControllerRig.DISK_2);
    if (isTold == 1) {
      rig.controller.namespaces(rig.namespaces, () -> {});
    }
    rig.takeOver();
    rig.host.settle();
    assertTold(request, NAMESPACES_CHANGED);
    assertEquals(1, rig.read(ControllerRig.getLog(4, 4096, false)).getInt(0));
  }
}

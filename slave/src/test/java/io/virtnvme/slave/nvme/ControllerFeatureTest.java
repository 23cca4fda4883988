package io.virtnvme.slave.nvme;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** NVMe base specification 2.0, 5.15 and 5.27. */
class ControllerFeatureTest {
  private static final int INVALID_FIELD = 2;

  private final ControllerRig rig = new ControllerRig();

  @BeforeEach
  void enable() {
    rig.enable();
  }

  private ByteBuffer get(final int id, final int dword11) {
    return ControllerRig.getFeature(id, 0).putInt(44, dword11);
  }

  @ParameterizedTest
  @CsvSource({
    "1, 0x12345607, 0x12345607, 0",
    "2, 0x40, 0x40, 0",
    "4, 0x150, 0x150, 343",
    "6, 0, 0, 1",
    "8, 0x1234, 0x1234, 0",
    "0xA, 1, 1, 0",
    "0xB, 0x1FF, 0x1FF, 0"
  })
  void shouldKeepAFeature(
      final String id, final String value, final String expected, final int defaultValue) {
    final int feature = Integer.decode(id);
    assertEquals(defaultValue, rig.succeed(ControllerRig.getFeature(feature, 0)));
    assertEquals(0, rig.succeed(ControllerRig.setFeature(feature, Integer.decode(value))));
    assertEquals(Integer.decode(expected), rig.succeed(ControllerRig.getFeature(feature, 0)));
    assertEquals(defaultValue, rig.succeed(ControllerRig.getFeature(feature, 1)));
    assertEquals(defaultValue, rig.succeed(ControllerRig.getFeature(feature, 2)));
    assertEquals(4, rig.succeed(ControllerRig.getFeature(feature, 3)));
    rig.refuse(ControllerRig.getFeature(feature, 4), INVALID_FIELD, 41);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 3, 0xC, 0xD, 0xE, 0xF, 0x10, 0x16, 0x80, 0x81, 0x82, 0x84, 0xFF})
  void shouldRefuseAFeatureThatItDoesNotHave(final int id) {
    rig.refuse(ControllerRig.getFeature(id, 0), INVALID_FIELD, 40);
    rig.refuse(ControllerRig.setFeature(id, 0), INVALID_FIELD, 40);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 4, 5, 6, 7, 8, 9, 0xA, 0xB})
  void shouldRefuseToSave(final int id) {
    rig.refuse(ControllerRig.setFeature(0x8000_0000 | id, 0), 0x10D, 0x700 | 43);
  }

  @Test
  void shouldRefuseANamespaceForTheController() {
    rig.refuse(ControllerRig.setFeature(1, 0).putInt(4, 1), 0x10F, 4);
    rig.succeed(ControllerRig.setFeature(1, 0).putInt(4, -1));
  }

  @Test
  void shouldHaveOnePowerState() {
    rig.refuse(ControllerRig.setFeature(2, 1), INVALID_FIELD, 44);
  }

  @Test
  void shouldHaveTwoTemperatureThresholds() {
    rig.succeed(ControllerRig.setFeature(4, 0x1F_0100)); // all sensors, under
    assertEquals(0x100, rig.succeed(get(4, 0x10_0000)));
    assertEquals(343, rig.succeed(get(4, 0)));
    rig.refuse(ControllerRig.setFeature(4, 0x01_0000), INVALID_FIELD, 46);
    rig.refuse(get(4, 0x0F_0000), INVALID_FIELD, 46);
    rig.refuse(ControllerRig.setFeature(4, 0x20_0000), INVALID_FIELD, 0x400 | 46);
    rig.refuse(get(4, 0x30_0000), INVALID_FIELD, 0x400 | 46);
  }

  @Test
  void shouldRecoverErrorsByNamespace() {
    rig.succeed(ControllerRig.setFeature(5, 7).putInt(4, 1));
    assertEquals(7, rig.succeed(get(5, 0).putInt(4, 1)));
    assertEquals(0, rig.succeed(get(5, 0).putInt(4, 2)));
    rig.succeed(ControllerRig.setFeature(5, 9).putInt(4, -1));
    assertEquals(9, rig.succeed(get(5, 0).putInt(4, 1)));
    assertEquals(9, rig.succeed(get(5, 0).putInt(4, 2)));
    assertEquals(6, rig.succeed(ControllerRig.getFeature(5, 3)));
    rig.refuse(ControllerRig.setFeature(5, 0x1_0000).putInt(4, 1), INVALID_FIELD, 46);
    rig.refuse(ControllerRig.setFeature(5, 0).putInt(4, 3), INVALID_FIELD, 4);
    rig.refuse(ControllerRig.setFeature(5, 0).putInt(4, 33), 0xB, 4);
    rig.refuse(get(5, 0).putInt(4, -1), 0xB, 4);
  }

  @Test
  void shouldSwitchTheWriteCache() {
    assertTrue(rig.controller.state().isWriteCacheOn());
    rig.succeed(ControllerRig.setFeature(6, 0));
    assertFalse(rig.host.isWriteCacheOn);
    assertFalse(rig.controller.state().isWriteCacheOn());
    rig.succeed(ControllerRig.setFeature(6, 1));
    assertTrue(rig.host.isWriteCacheOn);
  }

  @Test
  void shouldGrantAllQueues() {
    assertEquals(0x003F_003F, rig.succeed(ControllerRig.setFeature(7, 0x0001_0001)));
    assertEquals(0x003F_003F, rig.succeed(ControllerRig.setFeature(7, 0xFFFE_FFFE)));
    assertEquals(0x003F_003F, rig.succeed(ControllerRig.getFeature(7, 0)));
    rig.refuse(ControllerRig.setFeature(7, 0x0000_FFFF), INVALID_FIELD, 44);
    rig.refuse(ControllerRig.setFeature(7, 0xFFFF_0000), INVALID_FIELD, 46);
    rig.createQueuePair(1);
    rig.refuse(ControllerRig.setFeature(7, 0x0001_0001), 0xC, 0xFFFF);
  }

  @Test
  void shouldConfigureVectors() {
    assertEquals(3, rig.succeed(get(9, 3)));
    rig.succeed(ControllerRig.setFeature(9, 0x1_0003));
    rig.succeed(ControllerRig.setFeature(9, 0x1_0003));
    assertEquals(0x1_0003, rig.succeed(get(9, 3)));
    assertEquals(2, rig.succeed(get(9, 2)));
    rig.succeed(ControllerRig.setFeature(9, 3));
    assertEquals(3, rig.succeed(get(9, 3)));
    assertEquals(64, rig.succeed(get(9, 64)));
    rig.refuse(get(9, 65), INVALID_FIELD, 44);
    rig.refuse(ControllerRig.setFeature(9, 65), INVALID_FIELD, 44);
  }
}

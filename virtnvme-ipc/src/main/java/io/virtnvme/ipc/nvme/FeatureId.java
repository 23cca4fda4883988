package io.virtnvme.ipc.nvme;

/** Feature identifiers of Get and Set Features (NVM Express base specification 2.0, figure 317). */
public final class FeatureId {
  public static final int ARBITRATION = 0x01;
  public static final int POWER_MANAGEMENT = 0x02;
  public static final int LBA_RANGE_TYPE = 0x03;
  public static final int TEMPERATURE_THRESHOLD = 0x04;
  public static final int ERROR_RECOVERY = 0x05;
  public static final int VOLATILE_WRITE_CACHE = 0x06;
  public static final int NUMBER_OF_QUEUES = 0x07;
  public static final int INTERRUPT_COALESCING = 0x08;
  public static final int INTERRUPT_VECTOR_CONFIG = 0x09;
  public static final int WRITE_ATOMICITY = 0x0A;
  public static final int ASYNC_EVENT_CONFIG = 0x0B;
  public static final int AUTONOMOUS_POWER_STATE = 0x0C;
  public static final int HOST_MEMORY_BUFFER = 0x0D;
  public static final int TIMESTAMP = 0x0E;
  public static final int KEEP_ALIVE_TIMER = 0x0F;
  public static final int HOST_IDENTIFIER = 0x81;

  private FeatureId() {}
}

package io.virtnvme.ipc.nvme;

/** Log page identifiers (NVM Express base specification 2.0, figure 202). */
public final class LogPageId {
  public static final int SUPPORTED_LOG_PAGES = 0x00;
  public static final int ERROR_INFORMATION = 0x01;
  public static final int SMART_HEALTH = 0x02;
  public static final int FIRMWARE_SLOT = 0x03;
  public static final int CHANGED_NAMESPACES = 0x04;
  public static final int COMMANDS_SUPPORTED_AND_EFFECTS = 0x05;
  public static final int FEATURES_SUPPORTED_AND_EFFECTS = 0x12;

  private LogPageId() {}
}

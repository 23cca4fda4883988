package io.virtnvme.ipc.nvme;

/**
 * Which data structure Identify asks for (NVM Express base specification 2.0, figure 274): dword
 * 10, bits 7:0.
 */
public final class Cns {
  public static final int NAMESPACE = 0x00;
  public static final int CONTROLLER = 0x01;
  public static final int ACTIVE_NAMESPACE_LIST = 0x02;
  public static final int NAMESPACE_DESCRIPTORS = 0x03;
  public static final int NVM_SET_LIST = 0x04;
  public static final int IO_COMMAND_SET_NAMESPACE = 0x05;
  public static final int IO_COMMAND_SET_CONTROLLER = 0x06;
  public static final int IO_COMMAND_SET_ACTIVE_NAMESPACE_LIST = 0x07;
  public static final int INDEPENDENT_NAMESPACE = 0x08;
  public static final int ALLOCATED_NAMESPACE_LIST = 0x10;
  public static final int ALLOCATED_NAMESPACE = 0x11;
  public static final int NAMESPACE_CONTROLLER_LIST = 0x12;
  public static final int CONTROLLER_LIST = 0x13;
  public static final int PRIMARY_CONTROLLER = 0x14;
  public static final int SECONDARY_CONTROLLER_LIST = 0x15;
  public static final int NAMESPACE_GRANULARITY_LIST = 0x16;
  public static final int UUID_LIST = 0x17;
  public static final int DOMAIN_LIST = 0x18;
  public static final int ENDURANCE_GROUP_LIST = 0x19;
  public static final int IO_COMMAND_SETS = 0x1C;

  private Cns() {}
}

/**
 * The demo: starts a pair and a verifying client as processes, kills slaves, and shows what the
 * client felt. The main thread orders everything; one thread pinned to the slave's core kills.
 */
package io.virtnvme.tools.demo;

import { RagloomCanvas } from "ragloom-canvas";

export default RagloomCanvas;
